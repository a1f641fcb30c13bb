namespace CoFrGeNet.Training;

/// <summary>The learning rate of every step: a straight warm-up to the peak, then one of three shapes.</summary>
public sealed class LearningRateSchedule
{
    private readonly TrainingConfig _config;
    private readonly int _warmup;

    /// <summary>Creates the schedule of a run.</summary>
    /// <param name="config">Steps, peak, minimum and shape.</param>
    public LearningRateSchedule(TrainingConfig config)
    {
        _config = config;
        _warmup = config.ResolveWarmupSteps();
    }

    /// <summary>
    /// The learning rate of a step. Warm-up: peak (step + 1) / warm-up. With u the share of the rest that has passed and m the minimum:
    /// cosine m + (peak - m)(1 + cos(pi u)) / 2; wsd the peak, then a line to m over the last decay share of all steps.
    /// </summary>
    /// <param name="step">The step, from 0.</param>
    public double At(int step)
    {
        double peak = _config.LearningRate, minimum = peak * _config.MinimumLearningRateShare;
        if (step < _warmup)
        {
            return peak * (step + 1) / _warmup;
        }

        return _config.Schedule switch
        {
            LearningRateShape.Cosine => minimum + ((peak - minimum) * (1 + Math.Cos(Math.PI * Passed(step, _warmup))) / 2),
            LearningRateShape.Wsd => peak - ((peak - minimum) * Passed(step, Math.Max(_warmup, _config.Steps - (int)Math.Round(_config.Steps * _config.DecayShare)))),
            _ => peak,
        };
    }

    private double Passed(int step, int from) => step <= from ? 0 : Math.Min(1, (double)(step - from) / Math.Max(1, _config.Steps - from));
}
