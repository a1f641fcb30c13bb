using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace CoFrGeNet.Server;

/// <summary>Writes server-sent events. The headers go out with the first event, so that whatever fails before has a status of its own.</summary>
internal sealed class EventStream
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

    private readonly HttpContext _context;
    private bool _hasUnsent;

    /// <summary>Makes the answer a stream.</summary>
    public EventStream(HttpContext context) => _context = context;

    /// <summary>Writes what a job does, until it ends.</summary>
    /// <param name="job">The job.</param>
    /// <param name="deadline">Ends it.</param>
    /// <param name="write">Writes the events of one happening with <see cref="Write"/>.</param>
    public async Task PumpAsync(GenerationJob job, RequestDeadline deadline, Action<SequenceEvent> write)
    {
        try
        {
            while (await WaitAsync(job, deadline).ConfigureAwait(false))
            {
                while (job.Events.TryRead(out var what))
                {
                    write(what);
                }

                await FlushAsync().ConfigureAwait(false);
            }
        }
        catch (Exception error) when (_context.Response.HasStarted && !_context.RequestAborted.IsCancellationRequested)
        {
            // The event for clients that read it, the broken connection for the others; the middleware sees to that.
            var told = deadline.Translate(error);
            Write(Errors.Body(Errors.Translate(told)), ServerJson.Wire.ErrorResponse);
            await FlushAsync().ConfigureAwait(false);
            throw told;
        }
    }

    /// <summary>Writes one event; it leaves with the next flush.</summary>
    /// <typeparam name="T">What it is.</typeparam>
    /// <param name="data">The data.</param>
    /// <param name="type">How it is written.</param>
    public void Write<T>(T data, JsonTypeInfo<T> type)
    {
        Begin();
        Put("data: "u8);
        using (var json = new Utf8JsonWriter(_context.Response.BodyWriter, ServerJson.Writing))
        {
            JsonSerializer.Serialize(json, data, type);
        }

        Put("\n\n"u8);
    }

    /// <summary>Writes the end.</summary>
    public Task EndAsync()
    {
        Begin();
        Put("data: [DONE]\n\n"u8);
        return FlushAsync();
    }

    private async Task<bool> WaitAsync(GenerationJob job, RequestDeadline deadline)
    {
        var wait = job.Events.WaitToReadAsync(deadline.Token).AsTask();
        while (true)
        {
            try
            {
                return await wait.WaitAsync(Pause).ConfigureAwait(false);
            }
            catch (TimeoutException) when (!wait.IsCompleted)
            {
                // Proxies and impatient clients close connections on which nothing moves.
                Begin();
                Put(": ping\n\n"u8);
                await FlushAsync().ConfigureAwait(false);
            }
        }
    }

    private void Begin()
    {
        if (!_context.Response.HasStarted && _context.Response.ContentType is null)
        {
            _context.Response.ContentType = "text/event-stream";
            _context.Response.Headers["X-Accel-Buffering"] = "no";
        }
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        System.Buffers.BuffersExtensions.Write(_context.Response.BodyWriter, bytes);
        _hasUnsent = true;
    }

    // An event need not write anything, and a flush of nothing would send the headers.
    private async Task FlushAsync()
    {
        if (_hasUnsent)
        {
            _hasUnsent = false;
            await _context.Response.BodyWriter.FlushAsync(_context.RequestAborted).ConfigureAwait(false);
        }
    }
}
