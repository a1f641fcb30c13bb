using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// CAttnU (PAPER section 2): tokens become coordinates. Two ensembles of univariate ladders act on every channel with one weight a
/// position and level, y_i = w_0 (.) x + f(w_1 (.) x, .., w_{d-1} (.) x); two lower triangular maps over positions keep causality;
/// O = (U_1 y_1) (.) (U_2 y_2). T (2 d + T + 1) parameters. Decoding caches y_1 and y_2, and what forget gates leave of a token's past.
/// </summary>
/// <remarks>Letters: B batch, t new tokens at offset o, S = o + t, T context length, p channels, d depth, h heads, 2 ensembles.</remarks>
public sealed class CAttnU : TokenMixer, ILadderLayer
{
    private readonly CAttnUConfig _config;

    // w_0: 2 x T.
    [ComponentName(Name = "linear")]
    private readonly Parameter _linear;

    // w_1 .. w_{d-1}: 2 x T each, so that a schedule can freeze a level.
    [ComponentName(Name = "levels")]
    private readonly ParameterList _levels;

    // T x (T + 1) holds both triangles without waste: U_1 is the lower one of columns 0..T-1, U_2 the transposed upper one of columns 1..T.
    [ComponentName(Name = "triangles")]
    private readonly Parameter? _triangles;

    // 2 x h x T, distance 0 first: the first column of each of the triangles, in place of these.
    [ComponentName(Name = "distances")]
    private readonly Parameter? _distances;

    // A_1, A_2, stacked, and their biases where there are any.
    [ComponentName(Name = "inputs")]
    private readonly Linear? _inputs;

    // v of the forget gates f = 1 / (1 + e^v), one a head of each ensemble.
    [ComponentName(Name = "forget")]
    private readonly Linear? _forget;

    [ComponentName(Name = "range")]
    private readonly OutputRange? _range;

    /// <summary>Creates the mixer.</summary>
    /// <param name="width">Model width p.</param>
    /// <param name="contextLength">Longest sequence T.</param>
    /// <param name="config">Depth, guard, initial values.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public CAttnU(int width, int contextLength, CAttnUConfig config, ModuleOptions? options = null)
        : base(nameof(CAttnU))
    {
        config.Validate(width, contextLength);
        options ??= ModuleOptions.Default;
        _config = config;
        _linear = new Parameter(options.Constant(config.InitialWeight, 2, contextLength));
        _levels = [];
        for (var k = 1; k < config.Depth; k++)
        {
            _levels.Add(new Parameter(options.Constant(config.InitialWeight, 2, contextLength)));
        }

        if (config.RelativePositions)
        {
            _distances = new Parameter(InitialDistances(contextLength, config, options));
        }
        else
        {
            _triangles = new Parameter(InitialTriangles(contextLength, config, options));
        }

        if (config.InputMaps > 0)
        {
            _inputs = new Linear(width, config.InputMaps * width, config.InputBias, 1 / Math.Sqrt(width), options);
        }

        if (config.ForgetGates)
        {
            _forget = new Linear(width, 2 * config.Heads, bias: true, std: 0, options) { IsExact = true };
            using var quiet = no_grad();
            // -ln f = ln(1 + e^b), so b = ln(e^-ln f - 1).
            using var bias = (config.InitialForgetting + Math.Log(1 - Math.Exp(-config.InitialForgetting))).ToScalar();
            _forget.Bias!.fill_(bias);
        }

        _range = config.ClipToTrainedRange ? new OutputRange(options, contextLength, 2) : null;
        RegisterComponents();
    }

    /// <summary>The parameters of ladder level k = 1 .. d - 1.</summary>
    public IReadOnlyList<IReadOnlyList<Parameter>> LevelParameters => [.. _levels.Select(level => (IReadOnlyList<Parameter>)[level])];

    /// <inheritdoc/>
    public PoleGuard Guard => _config.Guard;

    /// <inheritdoc/>
    public int LadderAxes => 2;

    /// <inheritdoc/>
    public int? ActiveLevels { get; set; }

    /// <inheritdoc/>
    public Action<Tensor>? Observer { get; set; }

    /// <summary>Whether tokens say how much of what stands before them is forgotten.</summary>
    public bool HasForgetGates => _forget is not null;

    /// <summary>Receives ln f of the forget gates in every forward, [B, t, 2 h]; it is gone after the call. Null: nobody does.</summary>
    public Action<Tensor>? GateObserver { get; set; }

    /// <summary>Where the denominators' statistics are gathered; null: nowhere.</summary>
    public PoleStatistics? Statistics { get; set; }

    /// <summary>The type that the triangular products run in; null: float32.</summary>
    public ScalarType? ComputeType { get; set; }

    /// <summary>The trained range of the ladder outputs, or null when they are not clipped.</summary>
    public OutputRange? Range => _range;

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, MixerCache? cache)
    {
        using var scope = NewDisposeScope();
        long offset = cache?.Length ?? 0, t = x.shape[1], all = offset + t;
        var mapped = _inputs is null ? x.unsqueeze(2) : _inputs.forward(x).view([.. x.shape[..^1], _config.InputMaps, -1]);
        // ln f = -ln(1 + e^v)
        var kept = _forget is null ? null : nn.functional.logsigmoid(_forget.forward(x).to(mapped.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32).neg());
        if (kept is not null)
        {
            GateObserver?.Invoke(kept);
        }

        if (cache is null && OnDevice(mapped, kept) is { } product)
        {
            return product.MoveToOuterDisposeScope();
        }

        var wide = mapped.dtype == ScalarType.Float64 ? mapped : mapped.to(ScalarType.Float32);
        var y = Ensembles(wide, offset).to(ComputeType ?? wide.dtype);
        Tensor first = y.select(-2, 0), second = y.select(-2, 1);
        if (cache is not null)
        {
            first = cache.Append(0, first, 1);
            second = cache.Append(1, second, 1);
            kept = kept is null ? null : cache.Append(2, kept, 1);
            cache.Advance(t);
        }

        var mixed = cache is not null && _triangles is not null
            ? MixTriangles(_triangles, first, second, offset, t)
            : Mix(cache is null ? y : stack([first, second], -2), kept, offset, t);
        return mixed.MoveToOuterDisposeScope();
    }

    // The same by kernels of a CUDA device; null: there are none, or something is asked for that they do not do.
    private Tensor? OnDevice(Tensor mapped, Tensor? kept)
    {
        var type = ComputeType ?? ScalarType.Float32;
        Tensor[] levels = [_linear, .. _levels];

        // Clipping stops gradients, which the kernels' backward pass knows nothing of.
        var isDifferentiated = is_grad_enabled() && (mapped.requires_grad || levels.Any(level => level.requires_grad));
        if (Observer is not null || (ActiveLevels ?? _levels.Count) != _levels.Count || levels.Any(level => level.dtype != ScalarType.Float32)
            || (_range is not null && (!_range.CanFuse(_linear, _linear.numel()) || (!_range.training && isDifferentiated)))
            || UnivariateFunction.Find(mapped, _config.Depth, _config.Guard, _config.Heads, type) is not { } function)
        {
            return null;
        }

        var t = mapped.shape[1];
        var weights = stack([.. levels.Select(level => level.narrow(1, 0, t))]);
        if (function.Ensembles(mapped, weights, type, Statistics, _range) is not { } y)
        {
            return null;
        }

        return function.Join(Sums(y.flatten(0, 1), kept, 0, t).view(y.shape));
    }

    // y_1, y_2 [B, S, p] -> (U_1 y_1) (.) (U_2 y_2) of the last t tokens.
    private static Tensor MixTriangles(Tensor triangles, Tensor first, Tensor second, long offset, long t)
    {
        var rows = Triangles(triangles, first.shape[1], offset, t, first.dtype);
        return matmul(rows[0], first) * matmul(rows[1], second);
    }

    // U_1 and U_2 of the last t tokens, [t, S] each.
    private static Tensor[] Triangles(Tensor triangles, long all, long offset, long t, ScalarType type)
    {
        var lower = triangles.narrow(0, offset, t).narrow(1, 0, all).tril(offset);
        var upper = triangles.narrow(0, 0, all).narrow(1, offset + 1, t).t().tril(offset);
        return [lower.to(type), upper.to(type)];
    }

    // y [B, S, 2, p] -> (U_1 y_1) (.) (U_2 y_2) of the last t tokens, as one batch of 2 h products.
    private Tensor Mix(Tensor y, Tensor? kept, long offset, long t)
    {
        long batch = y.shape[0], all = y.shape[1], width = y.shape[3], heads = _config.Heads;
        var values = y.view(batch, all, 2, heads, -1).permute(2, 3, 1, 0, 4).reshape(2 * heads, all, batch, -1);
        var sums = Sums(values, kept, offset, t).view(2, heads, t, batch, -1);
        return (sums.select(0, 0) * sums.select(0, 1)).permute(2, 1, 0, 3).reshape(batch, t, width);
    }

    // y [2 h, S, B, p / h] -> U y of the last t tokens. kept, [B, S, 2 h]: ln f of the forget gates.
    private Tensor Sums(Tensor y, Tensor? kept, long offset, long t)
    {
        var rows = _triangles is null ? DistanceRows(_distances!, y.shape[1], offset, t, y.dtype) : stack([.. Triangles(_triangles, y.shape[1], offset, t, y.dtype)]);
        if (kept is not null)
        {
            return Faded(rows, y, kept, offset, t);
        }

        var columns = y.flatten(2);
        return (offset == 0 ? TriangularProduct.Apply(rows, columns) : bmm(rows, columns)).view(y.shape[0], t, y.shape[2], y.shape[3]);
    }

    // As above with U[i, j] = u_(i-j) e^(c_i - c_j), where c_i = ln f_1 + .. + ln f_i falls from token to token. Rows are taken in parts, of which long texts have eight:
    // what is kept of a part is its own square of factors and a copy of all that stands before it.
    private static Tensor Faded(Tensor rows, Tensor y, Tensor kept, long offset, long t)
    {
        var all = y.shape[1];
        var part = TriangularProduct.PartOf(all);
        // [2 h, B, S], in float64: differences of far falls would be those of their roundings.
        var c = kept.to(ScalarType.Float64).cumsum(1).permute(2, 0, 1).contiguous();
        var sums = new List<Tensor>();
        for (var done = 0L; done < t; done += part)
        {
            var count = Math.Min(part, t - done);
            sums.Add(FadedPart(rows.narrow(1, done, count), y, c, offset + done));
        }

        return cat(sums, 1);
    }

    // Before the first token of the rows, e^(c_i - c_j) is e^(c_i - c_o) e^(c_o - c_j) with the last token o before them: two factors of 1 or less, one a row and one a
    // column, so that U itself stays the same for all sequences. From that token on it is computed pair by pair.
    private static Tensor FadedPart(Tensor rows, Tensor y, Tensor c, long start)
    {
        using var scope = NewDisposeScope();
        long maps = y.shape[0], count = rows.shape[1], batch = y.shape[2], size = y.shape[3];
        // From the last token before the rows on.
        var last = start > 0 ? c.narrow(2, start - 1, 1) : null;
        var exact = y.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        var own = (last is null ? c.narrow(2, 0, count) : c.narrow(2, start, count) - last).to(exact);
        // A token that comes later would grow without bounds; its number in U is 0. Nothing is between a token and itself, and no gradient that rounding would leave.
        var fading = Fading((own.unsqueeze(-1) - own.unsqueeze(-2)).tril(-1), y.dtype);
        var near = rows.narrow(2, start, count).unsqueeze(1) * fading;
        var sum = bmm(near.flatten(0, 1), y.narrow(1, start, count).transpose(1, 2).flatten(0, 1)).view(maps, batch, count, size).transpose(1, 2);
        if (last is not null)
        {
            var faded = y.narrow(1, 0, start) * Columns((last - c.narrow(2, 0, start)).to(exact));
            var far = bmm(rows.narrow(2, 0, start), faded.flatten(2)).view(maps, count, batch, size);
            sum = sum.Plus(far * Columns(own));
        }

        return sum.MoveToOuterDisposeScope();

        // [2 h, B, n] -> [2 h, n, B, 1]
        Tensor Columns(Tensor exponents) => Fading(exponents, y.dtype).transpose(1, 2).contiguous().unsqueeze(-1);
    }

    // e^x of x <= 0, and 0 where less than the least is left.
    private static Tensor Fading(Tensor exponents, ScalarType type) => exponents.exp().Plus(-CAttnUConfig.LeastKept).clamp_min(HeldScalars.Zero).to(type);

    // U_1 and U_2 of the last t tokens, head by head: [2 h, t, S].
    private static Tensor DistanceRows(Tensor distances, long all, long offset, long t, ScalarType type)
    {
        // u_(S-1) .. u_0 and zeros: row i of U is the window that begins S - 1 - i numbers in.
        var backwards = distances.narrow(2, 0, all).to(type).flip(2);
        return nn.functional.pad(backwards, [0, all - 1]).unfold(2, all, 1).flip(2).narrow(2, offset, t).flatten(0, 1);
    }

    // The input of both ensembles, or one of each: [B, t, 1 or 2, p] -> y [B, t, 2, p].
    private Tensor Ensembles(Tensor input, long offset)
    {
        long t = input.shape[1], p = input.shape[3];
        // [2, T] -> [t, 2, 1]
        var linear = _linear.narrow(1, offset, t).t().unsqueeze(-1);
        if (ActiveLevels == 0)
        {
            return input * linear;
        }

        // d - 1 times [2, T] -> [t, d - 1, 2, 1]
        var levels = stack([.. _levels.Take(ActiveLevels ?? _levels.Count)]).narrow(2, offset, t).permute(2, 0, 1).unsqueeze(-1);
        var a = input.unsqueeze(2) * levels;
        // One ladder a position and ensemble; channels are samples of it: [B, t, d - 1, 2, p] -> [B, p, d - 1, t 2].
        Observer?.Invoke(a.permute(0, 4, 2, 1, 3).flatten(3));
        var z = LadderFunction.Apply(a.flatten(3), _config.Guard, Statistics).view([.. input.shape[..2], 2, p]);
        return (input * linear).Plus(Clip(z, offset));
    }

    // One range a position and ensemble, over all channels: [B, t, 2, p] -> [B p, t, 2] -> back.
    private Tensor Clip(Tensor z, long offset) =>
        _range is null ? z : _range.forward(z.permute(0, 3, 1, 2), offset).permute(0, 2, 3, 1);

    // As the triangles begin, in their first columns; the noise is the same at all positions.
    private static Tensor InitialDistances(int contextLength, CAttnUConfig config, ModuleOptions options)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var distances = options.Normal(config.InitialNoise, 2, config.Heads, contextLength);
        using var diagonal = config.InitialDiagonal.ToScalar();
        distances.narrow(2, 0, 1).add_(diagonal);
        var distance = HeldArithmetic.CountUp(contextLength, ScalarType.Float32, options.Device).narrow(0, 1, contextLength - 1);
        for (var head = 0; head < config.Heads; head++)
        {
            var decay = Math.Pow(config.InitialTailDecay, Math.Pow(2, -head));
            var amplitude = config.InitialTail * (config.InitialTailDecay < 1 ? (1 - decay) / (1 - config.InitialTailDecay) : 1);
            using Scalar fading = decay.ToScalar(), loudness = amplitude.ToScalar();
            distances.select(0, 1).select(0, head).narrow(0, 1, contextLength - 1).add_(full_like(distance, fading).pow(distance), loudness);
        }

        return distances.MoveToOuterDisposeScope();
    }

    private static Tensor InitialTriangles(int contextLength, CAttnUConfig config, ModuleOptions options)
    {
        // The views onto the triangles would keep their memory after the model is disposed of.
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var triangles = options.Normal(config.InitialNoise, contextLength, contextLength + 1);
        using Scalar diagonal = config.InitialDiagonal.ToScalar(), decay = config.InitialTailDecay.ToScalar(), amplitude = config.InitialTail.ToScalar();
        var diagonals = eye(contextLength, dtype: ScalarType.Float32, device: options.Device);
        triangles.narrow(1, 0, contextLength).add_(diagonals, diagonal);
        triangles.narrow(1, 1, contextLength).add_(diagonals, diagonal);
        // U_2 stands transposed in the upper triangle of columns 1 .. T, so its tail decays to the right.
        var position = HeldArithmetic.CountUp(contextLength, ScalarType.Float32, options.Device);
        var distance = (position.unsqueeze(0) - position.unsqueeze(1)).clamp_min_(HeldScalars.Zero);
        var tail = full_like(distance, decay).pow(distance).triu_(1);
        triangles.narrow(1, 1, contextLength).add_(tail, amplitude);
        return triangles.MoveToOuterDisposeScope();
    }
}
