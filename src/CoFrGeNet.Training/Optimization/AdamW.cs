using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// AdamW with decay on matrices only. State belongs to a parameter and is born with its first gradient, so a ladder level that a
/// schedule unfreezes late starts like a fresh parameter: its own step count, no stale moments, no decay while frozen.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly TrainingConfig _config;
    private readonly IReadOnlyList<(string Name, Parameter Parameter, double Share)> _parameters;
    private readonly Dictionary<string, Moments> _moments = [];

    /// <summary>Creates the optimizer.</summary>
    /// <param name="groups">The parameters by component.</param>
    /// <param name="config">Decay, betas, epsilon, and the ladders' share of the learning rate.</param>
    public AdamW(IEnumerable<ComponentGroup> groups, TrainingConfig config)
    {
        _parameters =
        [
            .. groups.SelectMany(group => group.Parameters.Select(entry =>
                (entry.Name, entry.Parameter, group.Component == Component.Ladders ? config.LadderLearningRateShare : 1.0))),
        ];
        _config = config;
    }

    /// <summary>Updates every parameter that has a gradient.</summary>
    /// <param name="learningRate">The learning rate of this step, before the ladders' share.</param>
    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        foreach (var (name, parameter, share) in _parameters)
        {
            if (!parameter.requires_grad || parameter.grad is not { } gradient)
            {
                continue;
            }

            if (!_moments.TryGetValue(name, out var moments))
            {
                _moments[name] = moments = new Moments(
                    zeros_like(parameter, requires_grad: false).DetachFromDisposeScope(), zeros_like(parameter, requires_grad: false).DetachFromDisposeScope());
            }

            moments.Steps++;
            Update(parameter, gradient, moments, learningRate * share);
        }
    }

    /// <summary>Forgets all gradients.</summary>
    public void ClearGradients()
    {
        foreach (var (_, parameter, _) in _parameters)
        {
            if (parameter.grad is { } gradient)
            {
                gradient.Dispose();
                parameter.grad = null;
            }
        }
    }

    /// <summary>The state: mean and mean square of gradients and the number of steps of every parameter that had a gradient.</summary>
    public IEnumerable<(string Name, Tensor Mean, Tensor Square, long Steps)> State =>
        _parameters.Where(entry => _moments.ContainsKey(entry.Name))
            .Select(entry => (entry.Name, _moments[entry.Name].Mean, _moments[entry.Name].Square, _moments[entry.Name].Steps));

    /// <summary>Takes over a saved state in place of its own.</summary>
    /// <param name="state">As <see cref="State"/> gives it; the tensors are owned from here on.</param>
    public void Restore(IEnumerable<(string Name, Tensor Mean, Tensor Square, long Steps)> state)
    {
        Dispose();
        _moments.Clear();
        foreach (var (name, mean, square, steps) in state)
        {
            _moments[name] = new Moments(mean.DetachFromDisposeScope(), square.DetachFromDisposeScope()) { Steps = steps };
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var moments in _moments.Values)
        {
            moments.Mean.Dispose();
            moments.Square.Dispose();
        }
    }

    private void Update(Parameter parameter, Tensor gradient, Moments moments, double learningRate)
    {
        double beta1 = _config.Beta1, beta2 = _config.Beta2;
        moments.Mean.mul_(beta1).add_(gradient, alpha: 1 - beta1);
        moments.Square.mul_(beta2).addcmul_(gradient, gradient, value: 1 - beta2);
        if (parameter.dim() >= 2 && _config.WeightDecay > 0)
        {
            parameter.mul_(1 - (learningRate * _config.WeightDecay));
        }

        var correction1 = 1 - Math.Pow(beta1, moments.Steps);
        var correction2 = 1 - Math.Pow(beta2, moments.Steps);
        using var denominator = moments.Square.sqrt();
        denominator.div_(Math.Sqrt(correction2)).add_(_config.Epsilon);
        parameter.addcdiv_(moments.Mean, denominator, value: -learningRate / correction1);
    }

    private sealed record Moments(Tensor Mean, Tensor Square)
    {
        public long Steps { get; set; }
    }
}
