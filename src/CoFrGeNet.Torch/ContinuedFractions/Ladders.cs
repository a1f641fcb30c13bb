using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Native;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// An ensemble of L ladders of depth d on an input of width p: z_j = f(W^(j) x), PAPER eq. 8. Level k of all ladders is one parameter
/// <c>levels.k</c>, so that a schedule can freeze it exactly.
/// </summary>
/// <remarks>Letters: p input width, d depth, L ladders; "scalars" is 1 for projected ladders and p for elementwise ones.</remarks>
public sealed class Ladders : nn.Module<Tensor, Tensor>, ILadderLayer
{
    // Outputs this small are noise; larger ones are not touched by it.
    private const double NormEpsilon = 1e-5;

    private readonly LadderConfig _config;
    private readonly int _width;

    [ComponentName(Name = "levels")]
    private readonly ParameterList _levels;

    [ComponentName(Name = "biases")]
    private readonly ParameterList? _biases;

    [ComponentName(Name = "range")]
    private readonly OutputRange? _range;

    /// <summary>Creates the ensemble.</summary>
    /// <param name="width">Input width p.</param>
    /// <param name="config">Count, depth, kind, guard and initialisation.</param>
    /// <param name="options">Where the parameters live.</param>
    public Ladders(int width, LadderConfig config, ModuleOptions options)
        : base(nameof(Ladders))
    {
        _width = width;
        _config = config;
        _levels = [];
        for (var k = 0; k < config.Depth; k++)
        {
            _levels.Add(new Parameter(options.Normal(config.WeightStd, config.Count, width)));
        }

        if (config.Bias is { } bias)
        {
            _biases = [];
            for (var k = 0; k < config.Depth; k++)
            {
                _biases.Add(new Parameter(options.Constant(bias, Outputs)));
            }
        }

        _range = config.ClipToTrainedRange ? new OutputRange(options, Outputs) : null;
        RegisterComponents();
    }

    /// <summary>Number of outputs: L for projected ladders, L p for elementwise ones.</summary>
    public long Outputs => _config.Kind == LadderKind.Projected ? _config.Count : (long)_config.Count * _width;

    /// <summary>The parameters of each level, outermost (k = 1) first; biases included.</summary>
    public IReadOnlyList<IReadOnlyList<Parameter>> LevelParameters =>
        [.. Enumerable.Range(0, _config.Depth).Select(k => _biases is null ? (IReadOnlyList<Parameter>)[_levels[k]] : [_levels[k], _biases[k]])];

    /// <inheritdoc/>
    public PoleGuard Guard => _config.Guard;

    /// <inheritdoc/>
    public int LadderAxes => _config.Kind == LadderKind.Projected ? 1 : 2;

    /// <inheritdoc/>
    public int? ActiveLevels { get; set; }

    /// <inheritdoc/>
    public Action<Tensor>? Observer { get; set; }

    /// <summary>Where the denominators' statistics are gathered; null: nowhere.</summary>
    public PoleStatistics? Statistics { get; set; }

    /// <summary>The trained range of the outputs, or null when outputs are not clipped.</summary>
    public OutputRange? Range => _range;

    /// <summary>Evaluates the ladders.</summary>
    /// <param name="x">[.., p].</param>
    /// <returns>[.., L] for projected ladders, [.., L p] with the coordinate running fastest for elementwise ones; float32 or wider.</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var wide = x.dtype == ScalarType.Float64 ? x : x.to(ScalarType.Float32);
        if (ActiveLevels == 0)
        {
            return zeros([.. x.shape[..^1], Outputs], wide.dtype, x.device).MoveToOuterDisposeScope();
        }

        var a = _config.Kind == LadderKind.Projected ? Project(wide) : Scale(wide);
        Observer?.Invoke(a);
        var z = LadderFunction.Apply(a, _config.Guard, Statistics, _range);
        return (_config.NormalizeOutputs ? z * z.square().mean([-1], keepdim: true).Plus(NormEpsilon).rsqrt() : z).MoveToOuterDisposeScope();
    }

    /// <summary>The outputs of elementwise ladders weighed and summed: sum over j of V_j (.) z_j.</summary>
    /// <param name="x">[.., p].</param>
    /// <param name="combine">V, [L, p].</param>
    /// <returns>[.., p]; float32 or wider.</returns>
    internal Tensor Combine(Tensor x, Tensor combine)
    {
        using var scope = NewDisposeScope();
        if (Observer is not null || ActiveLevels is not null || !ElementwiseFunction.CanRun(x, combine, _levels[0], _range, _config.Depth, _config.Guard))
        {
            var z = forward(x);
            return (z.view([.. z.shape[..^1], _config.Count, _width]) * combine).sum(-2).MoveToOuterDisposeScope();
        }

        var biases = _biases is null ? null : stack([.. _biases]);
        return ElementwiseFunction.Apply(x, stack([.. _levels]), biases, combine, _config.Guard, Statistics, _range).MoveToOuterDisposeScope();
    }

    // [.., p] -> [.., d, L]: one product for all levels.
    private Tensor Project(Tensor x)
    {
        var bias = _biases is null ? null : cat([.. _biases.Take(Depth)]);
        return nn.functional.linear(x, cat([.. _levels.Take(Depth)]), bias).view([.. x.shape[..^1], Depth, _config.Count]);
    }

    // [.., p] -> [.., d, L p].
    private Tensor Scale(Tensor x)
    {
        var a = (x.unsqueeze(-2).unsqueeze(-2) * stack([.. _levels.Take(Depth)])).flatten(-2);
        return _biases is null ? a : a.Plus(stack([.. _biases.Take(Depth)]));
    }

    private int Depth => ActiveLevels ?? _config.Depth;
}
