using System.Text;

namespace CoFrGeNet.Generation;

/// <summary>Passes text on up to the first stop text, holding back what may become one: a stop text can be spread over several tokens.</summary>
internal sealed class StopFilter
{
    private readonly IReadOnlyList<string> _stops;
    private readonly StringBuilder _held = new();

    /// <summary>Starts an empty stream.</summary>
    public StopFilter(IReadOnlyList<string> stops) => _stops = stops;

    /// <summary>Whether a stop text has come; nothing passes from then on.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes text and gives what is certain not to belong to a stop text.</summary>
    public string Append(string text)
    {
        if (_stops.Count == 0 || Stopped)
        {
            return Stopped ? string.Empty : text;
        }

        var all = _held.Append(text).ToString();
        _held.Clear();
        var first = _stops.Select(stop => all.IndexOf(stop, StringComparison.Ordinal)).Where(index => index >= 0).DefaultIfEmpty(-1).Min();
        if (first >= 0)
        {
            Stopped = true;
            return all[..first];
        }

        var kept = _stops.Max(stop => LongestStart(all, stop));
        _held.Append(all, all.Length - kept, kept);
        return all[..^kept];
    }

    /// <summary>Ends the stream: what was held back was no stop text after all.</summary>
    public string Flush()
    {
        var rest = _held.ToString();
        _held.Clear();
        return rest;
    }

    // Length of the longest end of the text that a stop text starts with.
    private static int LongestStart(string text, string stop)
    {
        var length = Math.Min(text.Length, stop.Length - 1);
        while (length > 0 && !text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
        {
            length--;
        }

        return length;
    }
}
