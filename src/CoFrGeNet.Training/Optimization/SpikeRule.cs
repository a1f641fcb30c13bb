using System.Globalization;

namespace CoFrGeNet.Training;

/// <summary>Decides whether a step is a spike (<see cref="SpikeConfig"/>). Its verdicts depend on the steps judged before and on nothing else.</summary>
public sealed class SpikeRule
{
    private readonly SpikeConfig _config;
    private readonly Queue<double> _losses = new();
    private readonly Queue<double> _norms = new();
    private int _inARow;

    /// <summary>Creates the rule of a run.</summary>
    /// <param name="config">Its limits.</param>
    public SpikeRule(SpikeConfig config) => _config = config;

    /// <summary>What it remembers; null where it is off.</summary>
    public SpikeState? State => _config.IsOn ? new SpikeState([.. _losses], [.. _norms], _inARow) : null;

    /// <summary>Takes over what a checkpoint remembers.</summary>
    /// <param name="state">As <see cref="State"/> gave it.</param>
    public void Restore(SpikeState? state)
    {
        _losses.Clear();
        _norms.Clear();
        foreach (var (loss, norm) in (state?.Losses ?? []).Zip(state?.GradientNorms ?? []))
        {
            Remember(loss, norm);
        }

        _inARow = state?.InARow ?? 0;
    }

    /// <summary>Judges a step; one that is not a spike is remembered.</summary>
    /// <param name="loss">Its loss.</param>
    /// <param name="gradientNorm">Its gradient norm before clipping.</param>
    /// <returns>Why it is to be skipped, or null.</returns>
    /// <exception cref="TrainingFailedException">Too many in a row were skipped.</exception>
    public string? Judge(double loss, double gradientNorm)
    {
        if (!_config.IsOn)
        {
            return null;
        }

        if (Reason(loss, gradientNorm) is not { } reason)
        {
            Remember(loss, gradientNorm);
            _inARow = 0;
            return null;
        }

        return ++_inARow <= _config.MostInARow
            ? reason
            : throw new TrainingFailedException(
                $"{_inARow} steps in a row were spikes, the last because {reason}. Lower training.learningRate, or raise the limits in training.spikes, then resume from the last checkpoint.");
    }

    private string? Reason(double loss, double norm)
    {
        if (_losses.Count < _config.Window)
        {
            return null;
        }

        var mean = _losses.Average();
        var sigma = Math.Sqrt(_losses.Average(value => (value - mean) * (value - mean)));
        if (_config.LossSigmas > 0 && loss > mean + (_config.LossSigmas * sigma))
        {
            return string.Create(
                CultureInfo.InvariantCulture, $"the loss {loss:G5} is more than {_config.LossSigmas} standard deviations of {sigma:G3} above the mean {mean:G5} of {_losses.Count} steps");
        }

        var median = _norms.Order().ElementAt(_norms.Count / 2);
        return _config.GradientFactor > 0 && norm > median * _config.GradientFactor
            ? string.Create(CultureInfo.InvariantCulture, $"the gradient norm {norm:G5} is more than {_config.GradientFactor} times the median {median:G5} of {_norms.Count} steps")
            : null;
    }

    private void Remember(double loss, double norm)
    {
        _losses.Enqueue(loss);
        _norms.Enqueue(norm);
        if (_losses.Count > _config.Window)
        {
            _losses.Dequeue();
            _norms.Dequeue();
        }
    }
}

/// <summary>What a <see cref="SpikeRule"/> remembers.</summary>
/// <param name="Losses">Losses of the last steps taken, oldest first.</param>
/// <param name="GradientNorms">Their gradient norms.</param>
/// <param name="InARow">Steps skipped in a row up to now.</param>
public sealed record SpikeState(IReadOnlyList<double> Losses, IReadOnlyList<double> GradientNorms, int InARow);
