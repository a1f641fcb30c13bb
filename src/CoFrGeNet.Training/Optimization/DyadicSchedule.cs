using CoFrGeNet.Torch;

namespace CoFrGeNet.Training;

/// <summary>
/// The paper's schedule (section 2): the parameters of ladder level i are trained only in the last t / 2^i steps, that is from step
/// t (1 - 2^-i). A frozen level has no gradient, no weight decay and no optimizer state, so its first step is that of a fresh parameter.
/// </summary>
public sealed class DyadicSchedule
{
    private readonly int _steps;
    private readonly IReadOnlyList<ILadderLayer> _layers;
    private readonly bool _truncates;
    private int _active = -1;

    /// <summary>Creates the schedule of a run.</summary>
    /// <param name="model">The model whose ladder levels are scheduled.</param>
    /// <param name="steps">Number of optimizer steps t.</param>
    /// <param name="truncates">Whether ladders are cut to the levels that are trained.</param>
    public DyadicSchedule(LanguageModel model, int steps, bool truncates = false)
    {
        _steps = steps;
        _truncates = truncates;
        _layers = [.. model.modules().OfType<ILadderLayer>()];
    }

    /// <summary>Depth of the deepest ladder.</summary>
    public int Depth => _layers.Count == 0 ? 0 : _layers.Max(layer => layer.LevelParameters.Count);

    /// <summary>The first step, from 0, at which a level is trained: the least step &gt;= t (1 - 2^-level).</summary>
    /// <param name="steps">Number of optimizer steps t.</param>
    /// <param name="level">The level, 1 = outermost.</param>
    public static int FirstStep(int steps, int level) => (int)Math.Ceiling(steps * (1 - Math.Pow(2, -level)));

    /// <summary>How many levels are trained at a step.</summary>
    /// <param name="step">The step, from 0.</param>
    public int ActiveLevels(int step) => Enumerable.Range(1, Depth).Count(level => step >= FirstStep(_steps, level));

    /// <summary>Freezes and unfreezes levels for a step.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <returns>The levels that are trained from this step on and were not before; empty if nothing changed.</returns>
    public IReadOnlyList<int> Apply(int step)
    {
        var active = ActiveLevels(step);
        if (active == _active)
        {
            return [];
        }

        foreach (var layer in _layers)
        {
            if (_truncates)
            {
                layer.ActiveLevels = active < layer.LevelParameters.Count ? active : null;
            }

            for (var k = 0; k < layer.LevelParameters.Count; k++)
            {
                foreach (var parameter in layer.LevelParameters[k])
                {
                    parameter.requires_grad = k < active;
                }
            }
        }

        _active = active;
        // Not those that a resumed run finds trained already.
        return [.. Enumerable.Range(1, active).Where(level => FirstStep(_steps, level) == step)];
    }
}
