using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: N = samples, d = depth, J = ladders of the layer, k = level (1 = outermost).

/// <summary>
/// What one layer's ladders do on a text: counted over all of it, with quantiles from samples spread over it. It listens to the layer until it is disposed of.
/// </summary>
public sealed class LadderObservation : IDisposable
{
    // Of one forward; enough for quantiles of a percent, and an elementwise layer of GPT-2 stays within 100 MB.
    private const int KeptSamples = 512;

    private readonly ILadderLayer _layer;
    private readonly List<Tensor> _kept = [];
    private long _count;
    private Tensor? _guarded;
    private Tensor? _clipped;
    private Tensor? _minimum;
    private Tensor? _maximum;

    /// <summary>Starts to listen.</summary>
    /// <param name="name">The layer's module name, for example <c>blocks.0.feed_forward.ladders</c>.</param>
    /// <param name="layer">The layer.</param>
    public LadderObservation(string name, ILadderLayer layer)
    {
        Name = name;
        _layer = layer;
        layer.Observer = Observe;
    }

    /// <summary>The layer's module name.</summary>
    public string Name { get; }

    /// <summary>The ladders of a model's layers, each with an observation of its own; dispose of them.</summary>
    /// <param name="model">The model.</param>
    public static IReadOnlyList<LadderObservation> Of(LanguageModel model) =>
        [.. model.named_modules().Where(entry => entry.module is ILadderLayer).Select(entry => new LadderObservation(entry.name, (ILadderLayer)entry.module))];

    /// <summary>Sums up what was seen.</summary>
    /// <exception cref="InvalidOperationException">Nothing was.</exception>
    public LadderLayerReport Report()
    {
        using var scope = NewDisposeScope();
        var samples = Samples();
        var (denominators, outputs) = (Denominators(samples), Outputs(samples));
        double[] guarded = Shares(_guarded), clipped = Shares(_clipped), minimum = Doubles(_minimum!), maximum = Doubles(_maximum!);
        var ladders = Enumerable.Range(0, guarded.Length).Select(j => new LadderReport(
            j, guarded[j], clipped[j], minimum[j], maximum[j], Quantiles.Of(denominators.select(1, j)), Quantiles.Of(outputs.select(1, j)))).ToArray();
        return new LadderLayerReport(
            Name, (int)samples.shape[1], guarded.Average(), clipped.Average(), minimum.Min(), maximum.Max(), Quantiles.Of(denominators.flatten()), Quantiles.Of(outputs.flatten()), ladders);
    }

    /// <summary>
    /// One ladder along its main input direction: the line through the mean of its partial denominators on this text along which they vary most (their first principal
    /// component). t counts standard deviations from the mean. With positive denominators the line is one of softplus(a_k) + eps.
    /// </summary>
    /// <param name="ladder">Its number in the layer, from 0.</param>
    /// <exception cref="UserErrorException">There is no such ladder.</exception>
    public LadderLine Line(int ladder)
    {
        using var scope = NewDisposeScope();
        var samples = Samples();
        var count = (int)samples.shape[2];
        if (ladder < 0 || ladder >= count)
        {
            throw new UserErrorException($"{Name} has no ladder {ladder}; allowed is 0 to {count - 1}.");
        }

        var a = Effective(samples).select(2, ladder);
        var mean = a.mean([0]);
        var centred = a - mean;
        var (values, vectors) = linalg.eigh(centred.t().matmul(centred).Times(1.0 / a.shape[0]));
        var deviation = Math.Sqrt(Math.Max(0, values[-1].item<double>()));
        var direction = vectors.select(1, -1).Times(deviation);
        // Either sign is an eigenvector; the outermost denominator shall rise.
        direction = direction[0].item<double>() < 0 ? -direction : direction;
        var places = deviation > 0 ? centred.matmul(direction).Times(1 / (deviation * deviation)) : zeros(a.shape[0], ScalarType.Float64);
        var total = values.sum().item<double>();
        var guard = _layer.Guard;
        return new LadderLine(
            LadderPolynomials.Of(Doubles(mean), Doubles(direction)), guard, total > 0 ? deviation * deviation / total : 1, Doubles(places), Doubles(Outputs(samples).select(1, ladder)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _layer.Observer = null;
        foreach (var tensor in _kept.Append(_guarded).Append(_clipped).Append(_minimum).Append(_maximum))
        {
            tensor?.Dispose();
        }

        _kept.Clear();
        _guarded = _clipped = _minimum = _maximum = null;
    }

    private void Observe(Tensor a)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var samples = a.detach().flatten(0, -3);
        var (denominators, outputs) = (Denominators(samples).abs(), Outputs(samples));
        _count += samples.shape[0];
        Combine(ref _guarded, denominators.IsBelow(_layer.Guard.Epsilon).sum([0L]), static (x, y) => x.Plus(y));
        Combine(ref _minimum, denominators.amin([0]), static (x, y) => minimum(x, y));
        Combine(ref _maximum, outputs.abs().amax([0]), static (x, y) => maximum(x, y));
        Combine(ref _clipped, Clipped(outputs).sum([0L]), static (x, y) => x.Plus(y));
        var every = Math.Max(1, samples.shape[0] / KeptSamples);
        _kept.Add(samples[TensorIndex.Slice(null, null, every)].to(ScalarType.Float32).clone().DetachFromDisposeScope());
    }

    private Tensor Samples() => _kept.Count > 0 ? cat(_kept, 0) : throw new InvalidOperationException($"No forward of {Name} was observed.");

    private Tensor Clipped(Tensor outputs)
    {
        if (_layer.Range is not { } range)
        {
            return zeros_like(outputs, ScalarType.Bool);
        }

        // A text shorter than the context reaches the first positions of a static mixer only.
        var ladders = outputs.shape[1];
        var (low, high) = (range.Low.flatten().narrow(0, 0, ladders), range.High.flatten().narrow(0, 0, ladders));
        return low.le(high).logical_and(outputs.lt(low).logical_or(outputs.gt(high)));
    }

    // As the recurrence takes them, in float64: bounded, and positive where the guard makes them so. [N, d, J]
    private Tensor Effective(Tensor samples)
    {
        var bound = Math.ScaleB(1, LadderRange.For((int)samples.shape[1], 127, _layer.Guard).BoundExponent);
        using Scalar least = (-bound).ToScalar(), most = bound.ToScalar();
        var a = samples.to(ScalarType.Float64).clamp(least, most);
        return _layer.Guard is PositiveGuard guard ? a.Softplus().Plus(guard.Epsilon) : a;
    }

    // K_d before it is guarded, [N, J].
    private Tensor Denominators(Tensor samples)
    {
        var a = Effective(samples);
        Tensor previous = ones_like(a.select(1, 0)), current = a.select(1, -1);
        for (var k = a.shape[1] - 2; k >= 0; k--)
        {
            (previous, current) = (current, (a.select(1, k) * current).Plus(previous));
        }

        return current;
    }

    // The very function that the model computes, before it is clipped, [N, J].
    private Tensor Outputs(Tensor samples) => LadderFunction.Apply(samples.contiguous(), _layer.Guard).to(ScalarType.Float64);

    private double[] Shares(Tensor? counts) => [.. Doubles(counts!).Select(count => count / _count)];

    private static double[] Doubles(Tensor values)
    {
        using var scope = NewDisposeScope();
        return values.cpu().to(ScalarType.Float64).contiguous().data<double>().ToArray();
    }

    private static void Combine(ref Tensor? sum, Tensor next, Func<Tensor, Tensor, Tensor> combine)
    {
        var combined = (sum is null ? next : combine(sum, next)).DetachFromDisposeScope();
        sum?.Dispose();
        sum = combined;
    }
}
