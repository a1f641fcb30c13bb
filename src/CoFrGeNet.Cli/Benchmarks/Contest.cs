using System.Diagnostics;
using TorchSharp;

namespace CoFrGeNet.Cli;

/// <summary>
/// Times contestants against each other: all are warmed up, then each round runs every one of them once, so that whatever else the
/// machine does meets them alike; the median of the rounds counts.
/// </summary>
internal sealed class Contest
{
    private readonly List<(string Name, Action Run)> _contestants = [];
    private readonly Dictionary<string, double> _medians = [];

    /// <summary>Waits until the device that a tensor lies on is done: it is still at work when its operations have returned.</summary>
    /// <param name="tensor">The tensor.</param>
    public static void WaitFor(torch.Tensor tensor)
    {
        if (tensor.device_type == DeviceType.CUDA)
        {
            torch.cuda.synchronize();
        }
    }

    /// <summary>Enters a contestant.</summary>
    /// <param name="name">Its name, once in a contest.</param>
    /// <param name="run">Does the work once; on a device it must wait for the end.</param>
    public Contest Add(string name, Action run)
    {
        _contestants.Add((name, run));
        return this;
    }

    /// <summary>Times all contestants.</summary>
    /// <param name="rounds">Timed rounds, at least 1.</param>
    /// <param name="warmUps">Runs of each before the first timed one; the second and later ones see tuned code and touched memory.</param>
    /// <param name="stop">Ends the contest between two runs.</param>
    public Contest Run(int rounds, int warmUps, CancellationToken stop)
    {
        foreach (var (_, run) in _contestants)
        {
            for (var i = 0; i < warmUps; i++)
            {
                stop.ThrowIfCancellationRequested();
                run();
            }
        }

        var seconds = _contestants.ToDictionary(contestant => contestant.Name, _ => new double[rounds]);
        for (var round = 0; round < rounds; round++)
        {
            foreach (var (name, run) in _contestants)
            {
                stop.ThrowIfCancellationRequested();
                var start = Stopwatch.GetTimestamp();
                run();
                seconds[name][round] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
        }

        foreach (var (name, values) in seconds)
        {
            _medians[name] = Median(values);
        }

        return this;
    }

    /// <summary>The median time of a contestant, in seconds.</summary>
    /// <param name="name">Its name.</param>
    public double Seconds(string name) => _medians[name];

    /// <summary>How many times faster one contestant is than another.</summary>
    /// <param name="name">The one.</param>
    /// <param name="than">The other.</param>
    public double TimesFaster(string name, string than) => Seconds(than) / Seconds(name);

    /// <summary>The middle value, or the mean of the two middle ones.</summary>
    /// <param name="values">At least one value.</param>
    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
