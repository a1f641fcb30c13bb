using System.Text.Json.Serialization;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Configuration;

/// <summary>The first seam: what moves information between tokens. A closed set, told apart in JSON by the member <c>type</c>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AttentionConfig), "attention")]
[JsonDerivedType(typeof(SparseAttentionConfig), "sparseAttention")]
[JsonDerivedType(typeof(SynthesizerConfig), "synthesizer")]
[JsonDerivedType(typeof(CAttnMConfig), "cattnm")]
[JsonDerivedType(typeof(CAttnUConfig), "cattnu")]
public abstract record MixerConfig
{
    /// <summary>Number of parameters at the model's width and context length.</summary>
    /// <param name="model">The model around it.</param>
    public abstract long ParameterCount(ModelConfig model);

    /// <summary>How <see cref="ParameterCount"/> comes about, in the paper's letters (p width, T context length), with the values of its own letters.</summary>
    public abstract string ParameterFormula();

    /// <summary>Floating-point operations of the forward pass for one token, on average over a full context with causal work counted once.</summary>
    /// <param name="model">The model around it.</param>
    public abstract long FlopsPerToken(ModelConfig model);

    /// <summary>Checks the members for use outside a model.</summary>
    /// <param name="width">Model width p.</param>
    /// <param name="contextLength">Longest sequence T.</param>
    /// <exception cref="UserErrorException">A member is out of range.</exception>
    public void Validate(int width, int contextLength)
    {
        var at = new ConfigCheck("mixer");
        at.AtLeast(width, 1, "width");
        at.AtLeast(contextLength, 1, "contextLength");
        Check(new ModelConfig { VocabularySize = 2, ContextLength = contextLength, Width = width, Blocks = [] }, at);
    }

    internal abstract void Check(ModelConfig model, ConfigCheck at);

    // A token sees (T + 1) / 2 tokens on average: 2 FLOPs a multiply-add, once for scores of width s, once for values of width v.
    private protected static long CausalFlops(ModelConfig model, long scoreWidth, long valueWidth) =>
        (scoreWidth + valueWidth) * (model.ContextLength + 1);

    private protected static void CheckHeads(ModelConfig model, int heads, ConfigCheck at)
    {
        at.AtLeast(heads, 1, "heads");
        at.That(model.Width % heads == 0, "heads", $"{heads}", $"a divisor of the width {model.Width}");
    }
}

/// <summary>Causal softmax attention, with grouped queries and rotary embedding as options.</summary>
public record AttentionConfig : MixerConfig
{
    /// <summary>Number of query heads h; a divisor of the width unless <see cref="HeadSize"/> is given.</summary>
    public required int Heads { get; init; }

    /// <summary>Number of key and value heads; absent: as many as query heads. A divisor of <see cref="Heads"/>.</summary>
    public int? KeyValueHeads { get; init; }

    /// <summary>Width of one head; absent: width / heads.</summary>
    public int? HeadSize { get; init; }

    /// <summary>Whether the maps have a bias (GPT-2).</summary>
    public bool Bias { get; init; } = true;

    /// <summary>Rotary position embedding; absent: none.</summary>
    public RotaryConfig? Rotary { get; init; }

    /// <summary>Width of one head with the default resolved.</summary>
    /// <param name="width">Model width p.</param>
    public int ResolveHeadSize(int width) => HeadSize ?? width / Heads;

    /// <inheritdoc/>
    public override long ParameterCount(ModelConfig model)
    {
        long p = model.Width, size = ResolveHeadSize(model.Width);
        long query = Heads * size, keyValue = (KeyValueHeads ?? Heads) * size;
        return (p * ((2 * query) + (2 * keyValue))) + (Bias ? query + (2 * keyValue) + p : 0);
    }

    /// <inheritdoc/>
    public override string ParameterFormula()
    {
        // h heads of queries and g of keys and values, s wide; without grouping h s is p.
        var plain = KeyValueHeads is null && HeadSize is null;
        var maps = plain ? "4 p^2" : "2 p h s + 2 p g s";
        var biases = !Bias ? string.Empty : plain ? " + 4 p" : " + h s + 2 g s + p";
        var size = HeadSize is { } given ? $"{given}" : "p / h";
        return maps + biases + (plain ? string.Empty : $", h = {Heads}, g = {KeyValueHeads ?? Heads}, s = {size}");
    }

    /// <inheritdoc/>
    public override long FlopsPerToken(ModelConfig model)
    {
        long p = model.Width, size = ResolveHeadSize(model.Width);
        long query = Heads * size, keyValue = (KeyValueHeads ?? Heads) * size;
        return (2 * p * ((2 * query) + (2 * keyValue))) + CausalFlops(model, query, query);
    }

    internal override void Check(ModelConfig model, ConfigCheck at)
    {
        if (HeadSize is { } size)
        {
            at.AtLeast(Heads, 1, "heads");
            at.AtLeast(size, 1, "headSize");
        }
        else
        {
            CheckHeads(model, Heads, at);
        }

        if (KeyValueHeads is { } groups)
        {
            at.AtLeast(groups, 1, "keyValueHeads");
            at.That(Heads % groups == 0, "keyValueHeads", $"{groups}", $"a divisor of heads = {Heads}");
        }

        if (Rotary is { } rotary)
        {
            at.That(ResolveHeadSize(model.Width) % 2 == 0, "rotary", $"a head width of {ResolveHeadSize(model.Width)}", "an even head width");
            rotary.Check(at.Under("rotary"));
        }
    }
}

/// <summary>
/// Attention with a fixed sparse pattern: a token sees the last <see cref="Window"/> tokens and every <see cref="Stride"/>-th token before.
/// The pattern is a mask: it saves no time here, it is the paper's control for quality.
/// </summary>
public sealed record SparseAttentionConfig : AttentionConfig
{
    /// <summary>How many of the latest tokens are seen, the token itself included; at least 1.</summary>
    public int Window { get; init; } = 64;

    /// <summary>Tokens at positions j with (j + 1) divisible by the stride are seen from everywhere after; at least 1.</summary>
    public int Stride { get; init; } = 64;

    internal override void Check(ModelConfig model, ConfigCheck at)
    {
        base.Check(model, at);
        at.AtLeast(Window, 1, "window");
        at.AtLeast(Stride, 1, "stride");
    }
}

/// <summary>
/// The dense Synthesizer, a control of the paper: attention logits over absolute positions from a two-layer map of each token.
/// 3 p^2 + T p parameters: hidden map p^2, positions T p, values p^2, output p^2.
/// </summary>
public sealed record SynthesizerConfig : MixerConfig
{
    /// <summary>Number of heads h; a divisor of the width.</summary>
    public required int Heads { get; init; }

    /// <inheritdoc/>
    public override long ParameterCount(ModelConfig model) => (3L * model.Width * model.Width) + ((long)model.ContextLength * model.Width);

    /// <inheritdoc/>
    public override string ParameterFormula() => "3 p^2 + T p";

    /// <inheritdoc/>
    public override long FlopsPerToken(ModelConfig model) => (6L * model.Width * model.Width) + CausalFlops(model, model.Width, model.Width);

    internal override void Check(ModelConfig model, ConfigCheck at) => CheckHeads(model, Heads, at);
}

/// <summary>
/// CAttnM (PAPER section 2): ladders of each token give z in R^L, a learned F in R^(L x T) turns z into attention logits over absolute
/// positions. L (d p + T) parameters a head and p^2 for the values.
/// </summary>
public sealed record CAttnMConfig : MixerConfig
{
    /// <summary>Number of heads h; a divisor of the width.</summary>
    public required int Heads { get; init; }

    /// <summary>The ladders of each head.</summary>
    public required LadderConfig Ladders { get; init; }

    /// <summary>
    /// False: F speaks of absolute positions, as in the paper. True: of distances, so that token i looks at token j with z_i F_(i-j); the same number of parameters, and what
    /// is learned at one position holds at all.
    /// </summary>
    public bool RelativePositions { get; init; }

    /// <inheritdoc/>
    public override long ParameterCount(ModelConfig model) =>
        (Heads * (Ladders.DenominatorParameters(model.Width) + ((long)Ladders.Count * model.ContextLength))) + ((long)model.Width * model.Width);

    /// <inheritdoc/>
    public override string ParameterFormula() =>
        $"h L (d p + T{(Ladders.Bias is null ? string.Empty : " + d")}) + p^2, h = {Heads}, L = {Ladders.Count}, d = {Ladders.Depth}";

    /// <inheritdoc/>
    public override long FlopsPerToken(ModelConfig model)
    {
        long p = model.Width, ladders = (long)Heads * Ladders.Count;
        return (2 * p * p) + (2 * ladders * Ladders.Depth * (p + 1)) + CausalFlops(model, ladders, p);
    }

    internal override void Check(ModelConfig model, ConfigCheck at)
    {
        CheckHeads(model, Heads, at);
        Ladders.Check(at.Under("ladders"));
        at.That(Ladders.Kind == LadderKind.Projected, "ladders.kind", "elementwise", "projected");
        at.That(!Ladders.NormalizeOutputs, "ladders.normalizeOutputs", "true", "false in an attention");
    }
}

/// <summary>
/// CAttnU (PAPER section 2): tokens become coordinates. y_i = w_0 (.) x + f(w_1 (.) x, .., w_{d-1} (.) x) with one weight a position and
/// level, output (U_1 y_1) (.) (U_2 y_2) with lower triangular U. T (2 d + T + 1) parameters.
/// </summary>
public sealed record CAttnUConfig : MixerConfig
{
    /// <summary>Depth d: one linear level and d - 1 levels of ladder; 2 to 16.</summary>
    public int Depth { get; init; } = 2;

    /// <summary>
    /// False: U_1 and U_2 are triangles over absolute positions, as in the paper. True: over distances, U[i, j] = u_(i-j), so that what is learned at one position holds at
    /// all; 2 h T parameters in place of T (T + 1).
    /// </summary>
    public bool RelativePositions { get; init; }

    /// <summary>Number of heads h, groups of neighbouring channels with maps of their own; a divisor of the width. More than 1 (the paper) with relative positions only.</summary>
    public int Heads { get; init; } = 1;

    /// <summary>
    /// 0: the ensembles act on the channels of the input, as in the paper. 1: on those of A x. 2: the first on those of A_1 x, the second on those of A_2 x, so that the two
    /// factors of the output are sums of different things. p^2 parameters a map.
    /// </summary>
    public int InputMaps { get; init; }

    /// <summary>Whether the input maps have a bias, 0 at first. A constant in one ensemble lets the sum of the other one through as it is.</summary>
    public bool InputBias { get; init; }

    /// <summary>How the poles are guarded.</summary>
    public PoleGuard Guard { get; init; } = PoleGuard.Default;

    /// <summary>Initial value of the ladder weights of every position and level.</summary>
    public double InitialWeight { get; init; } = 1.0;

    /// <summary>Initial diagonal of U_1 and U_2.</summary>
    public double InitialDiagonal { get; init; } = 0.5;

    /// <summary>Standard deviation of the noise that is added to U_1 and U_2 at first.</summary>
    public double InitialNoise { get; init; } = 0.02;

    /// <summary>
    /// Initial amplitude A of the tail of U_2: A r^(i - j) below the diagonal, with r = <see cref="InitialTailDecay"/>. Each output then begins as its own
    /// token times a fading mean of the tokens before it, at every position alike; without it every position must find its neighbours by itself.
    /// </summary>
    public double InitialTail { get; init; } = 1.0;

    /// <summary>
    /// Initial decay r of the tail of U_2 for each token of distance; 0 to 1. Each head looks back twice as far as the one before it: head k begins with r^(2^-k), at an
    /// amplitude that keeps what a tail without end would sum up to between A and 2 A.
    /// </summary>
    public double InitialTailDecay { get; init; } = 0.5;

    /// <summary>
    /// Whether tokens say how much of what stands before them is forgotten. Each head of each ensemble has a p-variate ladder of depth 1 with the positive denominator 1 + e^v,
    /// v = w . x + b, and U[i, j] = u_(i-j) f_(j+1) .. f_i with its values f = 1 / (1 + e^v). 2 h (p + 1) parameters; with relative positions only.
    /// </summary>
    public bool ForgetGates { get; init; }

    /// <summary>What a forget gate takes away at first, -ln f, in nats a token and the same for all tokens; 1e-6 to 20. After 1 over it tokens, 1/e is left of a token, beside what u leaves.</summary>
    public double InitialForgetting { get; init; } = 0.018;

    /// <summary>What forget gates leave of a token is 0 where it is less, before denormal numbers begin, which processors are slow at.</summary>
    internal const float LeastKept = 1e-30f;

    /// <summary>Whether outputs outside training are clipped to the range that each position took in training (PAPER section 1).</summary>
    public bool ClipToTrainedRange { get; init; } = true;

    /// <inheritdoc/>
    public override long ParameterCount(ModelConfig model) =>
        (model.ContextLength * ((2L * Depth) + (RelativePositions ? 2L * Heads : model.ContextLength + 1)))
        + ((long)InputMaps * model.Width * (model.Width + (InputBias ? 1 : 0))) + (ForgetGates ? 2L * Heads * (model.Width + 1) : 0);

    /// <inheritdoc/>
    public override string ParameterFormula() =>
        (InputMaps > 0 ? $"{InputMaps} {(InputBias ? "p (p + 1)" : "p^2")} + " : string.Empty) + (ForgetGates ? "2 h (p + 1) + " : string.Empty)
        + (RelativePositions ? $"2 T (d + h), d = {Depth}, h = {Heads}" : $"T (2 d + T + 1), d = {Depth}");

    /// <inheritdoc/>
    public override long FlopsPerToken(ModelConfig model) =>
        (2L * InputMaps * model.Width * model.Width) + (ForgetGates ? 4L * Heads * model.Width : 0) + (4L * Depth * model.Width) + CausalFlops(model, model.Width, model.Width);

    internal override void Check(ModelConfig model, ConfigCheck at)
    {
        at.Between(InputMaps, 0, 2, "inputMaps");
        at.That(InputMaps > 0 || !InputBias, "inputBias", "true without input maps", "true with inputMaps 1 or 2");
        at.Between(Depth, 2, 16, "depth");
        CheckHeads(model, Heads, at);
        at.That(Heads == 1 || RelativePositions, "heads", $"{Heads} over absolute positions", "1, or more with relativePositions");
        at.That(RelativePositions || !ForgetGates, "forgetGates", "true over absolute positions", "false, or true with relativePositions");
        at.Between(InitialForgetting, 1e-6, 20, "initialForgetting");
        at.AtLeast(InitialNoise, 0, "initialNoise");
        at.That(double.IsFinite(InitialWeight), "initialWeight", $"{InitialWeight}", "a finite number");
        at.That(double.IsFinite(InitialDiagonal), "initialDiagonal", $"{InitialDiagonal}", "a finite number");
        at.That(double.IsFinite(InitialTail), "initialTail", $"{InitialTail}", "a finite number");
        at.Between(InitialTailDecay, 0, 1, "initialTailDecay");
        at.Between(Guard.Epsilon, LadderRange.MinEpsilon, LadderRange.MaxEpsilon, "guard.epsilon");
    }
}

/// <summary>Rotary position embedding, with Llama 3's scaling as an option.</summary>
public sealed record RotaryConfig
{
    /// <summary>Base of the angular frequencies; above 0.</summary>
    public double Theta { get; init; } = 10000;

    /// <summary>Llama 3's stretching of low frequencies; absent: none.</summary>
    public RotaryScalingConfig? Scaling { get; init; }

    /// <summary>The angular frequencies of a head, theta^(-2 i / s) with the scaling, in radians a position.</summary>
    /// <param name="headSize">Width s of a head; even.</param>
    /// <returns>s / 2 frequencies.</returns>
    public double[] Frequencies(int headSize)
    {
        var frequencies = new double[headSize / 2];
        for (var i = 0; i < frequencies.Length; i++)
        {
            var plain = Math.Pow(Theta, -2.0 * i / headSize);
            frequencies[i] = Scaling?.Apply(plain) ?? plain;
        }

        return frequencies;
    }

    internal void Check(ConfigCheck at)
    {
        at.Above(Theta, 0, "theta");
        if (Scaling is { } scaling)
        {
            at.Above(scaling.Factor, 0, "scaling.factor");
            at.Above(scaling.LowFrequencyFactor, 0, "scaling.lowFrequencyFactor");
            at.Above(scaling.HighFrequencyFactor, scaling.LowFrequencyFactor, "scaling.highFrequencyFactor");
            at.AtLeast(scaling.OriginalContextLength, 1, "scaling.originalContextLength");
        }
    }
}

/// <summary>Llama 3's rotary scaling: wavelengths above T0 / low are stretched by the factor, those below T0 / high are kept, between them it blends.</summary>
public sealed record RotaryScalingConfig
{
    /// <summary>How far low frequencies are stretched.</summary>
    public required double Factor { get; init; }

    /// <summary>Divides the original context length into the longest wavelength that is blended.</summary>
    public required double LowFrequencyFactor { get; init; }

    /// <summary>Divides the original context length into the shortest wavelength that is blended.</summary>
    public required double HighFrequencyFactor { get; init; }

    /// <summary>The context length T0 that the model was first trained with, in tokens.</summary>
    public required int OriginalContextLength { get; init; }

    internal double Apply(double frequency)
    {
        var turns = OriginalContextLength * frequency / (2 * Math.PI);
        var blend = Math.Clamp((turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor), 0, 1);
        return ((1 - blend) * frequency / Factor) + (blend * frequency);
    }
}
