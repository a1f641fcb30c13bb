using System.Diagnostics;
using System.Globalization;

namespace CoFrGeNet.Cli;

/// <summary>Shows how far a countable work is: on a terminal one line that is overwritten, otherwise a plain line every few seconds.</summary>
internal sealed class CountDisplay
{
    private readonly ToolConsole _console;
    private readonly string _what;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private TimeSpan _lastShown = TimeSpan.MinValue;
    private int? _first;
    private int _liveLength;

    /// <summary>Creates the display.</summary>
    /// <param name="console">It writes to standard error.</param>
    /// <param name="what">What is counted, in the plural.</param>
    public CountDisplay(ToolConsole console, string what)
    {
        _console = console;
        _what = what;
    }

    /// <summary>Tells how far the work is.</summary>
    /// <param name="done">How many are done.</param>
    /// <param name="all">How many there are.</param>
    public void Show(int done, int all)
    {
        var interval = _console.IsErrorTerminal ? TimeSpan.FromMilliseconds(200) : TimeSpan.FromSeconds(5);
        if (_lastShown >= TimeSpan.Zero && _clock.Elapsed - _lastShown < interval && done < all)
        {
            return;
        }

        _lastShown = _clock.Elapsed;
        // What an earlier run has done says nothing about the speed of this one.
        _first ??= done;
        var rate = (done - _first.Value) / Math.Max(1e-9, _clock.Elapsed.TotalSeconds);
        var left = rate > 0 ? $"  {Amounts.Duration((all - done) / rate)} left" : string.Empty;
        var line = string.Create(CultureInfo.InvariantCulture, $"{done:N0}/{all:N0} {_what}  {rate:N1}/s{left}");
        if (_console.IsErrorTerminal)
        {
            _console.Error.Write('\r' + line.PadRight(_liveLength));
            _console.Error.Flush();
            _liveLength = line.Length;
        }
        else
        {
            _console.Error.WriteLine(line);
        }
    }

    /// <summary>Takes the live line away.</summary>
    public void Clear()
    {
        if (_liveLength > 0)
        {
            _console.Error.Write('\r' + new string(' ', _liveLength) + '\r');
            _liveLength = 0;
        }
    }
}
