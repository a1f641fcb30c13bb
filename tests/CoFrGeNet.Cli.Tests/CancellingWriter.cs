namespace CoFrGeNet.Cli.Tests;

/// <summary>Standard error that presses Ctrl-C when a text passes.</summary>
internal sealed class CancellingWriter : StringWriter
{
    private readonly string _text;
    private readonly CancellationTokenSource _stop;

    public CancellingWriter(string text, CancellationTokenSource stop)
    {
        _text = text;
        _stop = stop;
    }

    public override void WriteLine(string? value)
    {
        base.WriteLine(value);
        if (value?.Contains(_text, StringComparison.Ordinal) == true)
        {
            _stop.Cancel();
        }
    }
}
