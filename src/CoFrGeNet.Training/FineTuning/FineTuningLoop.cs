using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>What is known after a step of fine-tuning.</summary>
/// <param name="Seed">Seed of the run.</param>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">Steps of the run.</param>
/// <param name="Loss">Training loss of the step.</param>
public readonly record struct FineTuningProgress(int Seed, int Step, int Steps, double Loss);

/// <summary>
/// The optimizer steps that all fine-tuning shares: gradient, two-fold clipping, AdamW, warm-up and straight decay; and the best weights so
/// far, which come back at the end.
/// </summary>
internal sealed class FineTuningLoop : IDisposable
{
    private readonly nn.Module _module;
    private readonly AdamW _optimizer;
    private readonly GradientClipper _clipper;
    private readonly LearningRateSchedule _learningRate;
    private Dictionary<string, Tensor> _best = [];
    private int _step;

    /// <summary>Prepares the steps.</summary>
    /// <param name="module">All that is trained, whose weights are remembered.</param>
    /// <param name="model">The language model in it.</param>
    /// <param name="head">What is trained besides.</param>
    /// <param name="config">Steps, rates and decay.</param>
    public FineTuningLoop(nn.Module module, LanguageModel model, IReadOnlyList<(string Name, Parameter Parameter)> head, TrainingConfig config)
    {
        _module = module;
        var groups = ComponentGroup.Of(model);
        groups = head.Count == 0 ? groups : [.. groups, new ComponentGroup(Component.Head, null, head)];
        _optimizer = new AdamW(groups, config);
        _clipper = new GradientClipper(groups, config.ComponentClipNorm, config.ClipNorm);
        _learningRate = new LearningRateSchedule(config);
    }

    /// <summary>Steps done.</summary>
    public int Step => _step;

    /// <summary>Takes a step.</summary>
    /// <param name="loss">Computes the loss, a scalar, in a scope that is disposed of.</param>
    /// <returns>The loss.</returns>
    /// <exception cref="TrainingFailedException">The loss is no finite number.</exception>
    public double TakeStep(Func<Tensor> loss)
    {
        double value;
        using (NewDisposeScope())
        {
            var computed = loss();
            computed.backward();
            value = computed.item<float>();
        }

        if (!double.IsFinite(value))
        {
            throw new TrainingFailedException($"The loss is {value} at step {_step} of the fine-tuning; lower the learning rate.");
        }

        var clip = _clipper.Measure();
        if (clip.Norms.IsFinite)
        {
            _optimizer.Step(_learningRate.At(_step), clip.Scales, clears: true);
        }

        _optimizer.ClearGradients();
        _step++;
        return value;
    }

    /// <summary>Remembers the weights as they are.</summary>
    public void RememberBest()
    {
        Forget();
        _best = _module.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value.detach().clone().DetachFromDisposeScope());
    }

    /// <summary>Puts the remembered weights back.</summary>
    public void RestoreBest()
    {
        using var quiet = no_grad();
        var weights = _module.state_dict();
        foreach (var (name, values) in _best)
        {
            weights[name].copy_(values);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Forget();
        _optimizer.Dispose();
    }

    private void Forget()
    {
        foreach (var values in _best.Values)
        {
            values.Dispose();
        }

        _best = [];
    }
}
