using CoFrGeNet.Torch;

namespace CoFrGeNet.Training;

/// <summary>Looks at the ladders of a model during a training step: how close they came to their poles, and how steep they are there.</summary>
internal sealed class PoleWatch
{
    private readonly IReadOnlyList<(string Name, ILadderLayer Layer)> _layers;

    /// <summary>Finds the layers.</summary>
    /// <param name="model">The model.</param>
    public PoleWatch(LanguageModel model) =>
        _layers = [.. model.named_modules().Where(entry => entry.module is ILadderLayer).Select(entry => (entry.name, (ILadderLayer)entry.module))];

    /// <summary>Begins a step.</summary>
    /// <param name="counts">Whether its denominators are counted.</param>
    public void Begin(bool counts)
    {
        foreach (var (_, layer) in _layers)
        {
            layer.Statistics = counts ? new PoleStatistics() : null;
        }
    }

    /// <summary>What was counted, and the gradients' norms. Counting ends: an evaluation that follows is not part of the step.</summary>
    public List<PoleReport> Take()
    {
        var reports = new List<PoleReport>();
        foreach (var (name, layer) in _layers)
        {
            using var statistics = layer.Statistics!;
            var gradients = LadderGradients.Norms(layer);
            reports.Add(new PoleReport(
                name, statistics.GuardedShare, statistics.MinDenominator, statistics.MaxOutput, Math.Sqrt(gradients.Sum(norm => norm * norm)), gradients.Max()));
            layer.Statistics = null;
        }

        return reports;
    }

    /// <summary>Clips the gradient of every ladder by itself.</summary>
    /// <param name="limit">Largest norm of one ladder; 0: no limit.</param>
    public void Clip(double limit)
    {
        if (limit <= 0)
        {
            return;
        }

        foreach (var (_, layer) in _layers)
        {
            LadderGradients.Clip(layer, limit);
        }
    }
}
