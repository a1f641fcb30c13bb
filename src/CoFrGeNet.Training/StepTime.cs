using System.Diagnostics;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>How long an optimizer step takes, measured on a throw-away model.</summary>
/// <param name="Seconds">Seconds a step, evaluation and checkpoints left out.</param>
/// <param name="PeakMemoryBytes">Peak memory of the process after the measured steps.</param>
public sealed record StepTime(double Seconds, long PeakMemoryBytes)
{
    // They allocate what the later ones use again.
    private const int WarmingSteps = 2;

    /// <summary>Steps that a measurement takes at least.</summary>
    internal const int FewestSteps = WarmingSteps + 1;

    /// <summary>Takes some steps of a run, and writes nothing.</summary>
    /// <param name="config">The run.</param>
    /// <param name="data">Its text.</param>
    /// <param name="seconds">How long to measure after the first steps; one step is measured in any case.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <exception cref="UserErrorException">The configuration is not valid or does not fit the text.</exception>
    public static StepTime Measure(RunConfig config, TextData data, double seconds, Device? device = null)
    {
        using var trainer = new Trainer(config, data, device: device);
        trainer.Warm(WarmingSteps);
        var clock = Stopwatch.StartNew();
        var steps = 0;
        do
        {
            trainer.Warm(1);
            steps++;
        }
        while (clock.Elapsed.TotalSeconds < seconds);
        var perStep = clock.Elapsed.TotalSeconds / steps;
        using var process = Process.GetCurrentProcess();
        return new StepTime(perStep, process.PeakWorkingSet64);
    }
}
