namespace CoFrGeNet.Server;

/// <summary>Until when an answer is worth computing: until the client leaves, or the time is over.</summary>
internal sealed class RequestDeadline : IDisposable
{
    private readonly HttpContext _context;
    private readonly int _seconds;
    private readonly CancellationTokenSource _source;

    /// <summary>Starts the time.</summary>
    public RequestDeadline(HttpContext context, ServerOptions options)
    {
        _context = context;
        _seconds = options.RequestSeconds;
        _source = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        _source.CancelAfter(TimeSpan.FromSeconds(_seconds));
    }

    /// <summary>Is cancelled then.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>What a client is told: of a cancellation that the time was over.</summary>
    /// <param name="error">What was thrown.</param>
    public Exception Translate(Exception error) =>
        error is OperationCanceledException && !_context.RequestAborted.IsCancellationRequested ? ApiException.TimedOut(_seconds) : error;

    /// <inheritdoc/>
    public void Dispose()
    {
        // Whatever is still computed for this request is of no use to anybody.
        _source.Cancel();
        _source.Dispose();
    }
}
