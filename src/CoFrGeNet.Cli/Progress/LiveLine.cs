namespace CoFrGeNet.Cli;

/// <summary>A line that says how far something is: overwritten on a terminal, otherwise written again every few seconds.</summary>
internal sealed class LiveLine
{
    private static readonly TimeSpan LiveInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(5);

    private readonly TextWriter _writer;
    private readonly bool _isTerminal;
    private readonly TimeProvider _clock;
    private long? _lastShown;
    private int _length;

    /// <summary>Creates the line.</summary>
    /// <param name="console">It is written to standard error.</param>
    /// <param name="clock">The time; null: the system's.</param>
    public LiveLine(ToolConsole console, TimeProvider? clock = null)
    {
        _writer = console.Error;
        _isTerminal = console.IsErrorTerminal;
        _clock = clock ?? TimeProvider.System;
    }

    /// <summary>Shows the line if it is time.</summary>
    /// <param name="line">Gives the text; asked only then.</param>
    /// <param name="always">Whether it is shown in any case, as the last one is.</param>
    public void Show(Func<string> line, bool always = false)
    {
        if (!always && _lastShown is { } shown && _clock.GetElapsedTime(shown) < (_isTerminal ? LiveInterval : PlainInterval))
        {
            return;
        }

        _lastShown = _clock.GetTimestamp();
        var text = line();
        if (!_isTerminal)
        {
            _writer.WriteLine(text);
            return;
        }

        var width = Width() - 1;
        text = text.Length > width ? text[..width] : text;
        _writer.Write('\r' + text + new string(' ', Math.Max(0, _length - text.Length)));
        _writer.Flush();
        _length = text.Length;
    }

    /// <summary>Takes the line away, so that other output starts on a clean one.</summary>
    public void Clear()
    {
        if (_length > 0)
        {
            _writer.Write('\r' + new string(' ', _length) + '\r');
            _writer.Flush();
            _length = 0;
        }
    }

    /// <summary>Writes a line that stays, above this one.</summary>
    /// <param name="line">The text.</param>
    public void WriteLine(string line)
    {
        Clear();
        _writer.WriteLine(line);
    }

    private static int Width()
    {
        try
        {
            return Console.WindowWidth is var width and > 1 ? width : 80;
        }
        catch (Exception e) when (e is IOException or PlatformNotSupportedException)
        {
            return 80;
        }
    }
}
