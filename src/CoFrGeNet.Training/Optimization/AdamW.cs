using CoFrGeNet.Kernels;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// AdamW with decay on matrices only. State belongs to a parameter and is born with its first gradient, so a ladder level that a
/// schedule unfreezes late starts like a fresh parameter: its own step count, no stale moments, no decay while frozen.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly TrainingConfig _config;
    private readonly IReadOnlyList<(string Name, Parameter Parameter, bool IsLadder)> _parameters;
    private readonly IParameterShares _shares;
    private readonly Dictionary<string, Moments> _moments = [];

    /// <summary>Creates the optimizer.</summary>
    /// <param name="groups">The parameters by component.</param>
    /// <param name="config">Decay, betas, epsilon, and what ladders have of their own.</param>
    /// <param name="shares">What this process updates of each parameter; null: all of it.</param>
    public AdamW(IEnumerable<ComponentGroup> groups, TrainingConfig config, IParameterShares? shares = null)
    {
        _shares = shares ?? WholeParameters.Instance;
        _parameters =
        [
            .. groups.SelectMany(group => group.Parameters.Select(entry =>
                (entry.Name, entry.Parameter, group.Component == Component.Ladders))),
        ];
        _config = config;
    }

    /// <summary>Bytes of the state held in this process.</summary>
    public long StateBytes => _moments.Values.Sum(moments => (moments.Mean.numel() * moments.Mean.ElementSize) + (moments.Square.numel() * moments.Square.ElementSize));

    /// <summary>
    /// Makes room for the gradients and moments of all parameters that are trained now. Made before the first forward pass they lie side by side; made in
    /// its course they would come to lie between activations, whose memory could not be used again as a whole.
    /// </summary>
    public void Reserve()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        foreach (var (name, parameter, _) in _parameters.Where(entry => entry.Parameter.requires_grad))
        {
            if (parameter.grad is null)
            {
                parameter.grad = zeros_like(parameter, requires_grad: false);
            }

            MomentsOf(name, parameter);
        }
    }

    /// <summary>Updates every parameter that has a gradient.</summary>
    /// <param name="learningRate">The learning rate of this step, before the ladders' share.</param>
    /// <param name="scales">What gradients are multiplied by, by the parameter's name, as <see cref="GradientClip.Scales"/> has it; 1 where it says nothing.</param>
    /// <param name="clears">Whether gradients are set to 0 once they are read, where this process holds them whole; <see cref="ClearGradients"/>, to be called before the next backward pass, then passes them by.</param>
    public void Step(double learningRate, IReadOnlyDictionary<string, double>? scales = null, bool clears = false)
    {
        clears &= ReferenceEquals(_shares, WholeParameters.Instance);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var targets = new List<AdamWTarget>();
        foreach (var (name, parameter, isLadder) in _parameters)
        {
            if (!parameter.requires_grad || _shares.Gradient(name, parameter) is not { } gradient)
            {
                continue;
            }

            var values = _shares.Values(name, parameter);
            var moments = MomentsOf(name, parameter);
            moments.Steps++;
            if (values.numel() > 0)
            {
                var weightDecay = isLadder ? _config.LadderWeightDecay ?? _config.WeightDecay : _config.WeightDecay;
                var step = new AdamWStep(
                    learningRate * (isLadder ? _config.LadderLearningRateShare : 1), _config.Beta1, _config.Beta2, _config.Epsilon,
                    parameter.dim() >= 2 ? weightDecay : 0, moments.Steps)
                {
                    GradientScale = scales?.GetValueOrDefault(name, 1) ?? 1,
                    ClearsGradient = clears,
                };
                targets.Add(new AdamWTarget(values, gradient, moments.Mean, moments.Square, step));
                moments.HasClearedGradient = clears;
            }
        }

        AdamWUpdate.Apply(targets);
    }

    /// <summary>
    /// Sets all gradients to 0. They keep their memory, which the next backward pass adds to; those of frozen parameters are released.
    /// </summary>
    public void ClearGradients()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        foreach (var (name, parameter, _) in _parameters)
        {
            if (!parameter.requires_grad)
            {
                parameter.grad = null;
            }
            else if (_moments.TryGetValue(name, out var moments) && moments.HasClearedGradient)
            {
                moments.HasClearedGradient = false;
            }
            else
            {
                parameter.grad?.zero_();
            }
        }
    }

    /// <summary>The state of what this process updates: mean and mean square of gradients and the number of steps of every parameter that had a gradient.</summary>
    public IEnumerable<(string Name, Tensor Mean, Tensor Square, long Steps)> State =>
        _parameters.Where(entry => _moments.TryGetValue(entry.Name, out var moments) && moments.Steps > 0)
            .Select(entry => (entry.Name, _moments[entry.Name].Mean, _moments[entry.Name].Square, _moments[entry.Name].Steps));

    /// <summary>Takes over a saved state in place of its own.</summary>
    /// <param name="state">As <see cref="State"/> gives it, of this process's share; the tensors are owned from here on.</param>
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

    private Moments MomentsOf(string name, Parameter parameter)
    {
        if (!_moments.TryGetValue(name, out var moments))
        {
            var values = _shares.Values(name, parameter);
            _moments[name] = moments = new Moments(
                zeros_like(values, requires_grad: false).DetachFromDisposeScope(), zeros_like(values, requires_grad: false).DetachFromDisposeScope());
        }

        return moments;
    }

    private sealed record Moments(Tensor Mean, Tensor Square)
    {
        public long Steps { get; set; }

        /// <summary>Whether the last step has set the gradient to 0, and <see cref="ClearGradients"/> has not been called since.</summary>
        public bool HasClearedGradient { get; set; }
    }
}
