using System.Text.Json.Serialization;

namespace CoFrGeNet.Configuration;

/// <summary>The second seam: what works on each token alone. A closed set, told apart in JSON by the member <c>type</c>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MlpConfig), "mlp")]
[JsonDerivedType(typeof(SwiGluConfig), "swiGlu")]
[JsonDerivedType(typeof(CffnConfig), "cffn")]
[JsonDerivedType(typeof(GatedLinearConfig), "gatedLinear")]
public abstract record FeedForwardConfig
{
    /// <summary>Number of parameters at the model's width.</summary>
    /// <param name="model">The model around it.</param>
    public abstract long ParameterCount(ModelConfig model);

    /// <summary>How <see cref="ParameterCount"/> comes about, in the paper's letters (p width), with the values of its own letters.</summary>
    public abstract string ParameterFormula();

    /// <summary>Floating-point operations of the forward pass for one token.</summary>
    /// <param name="model">The model around it.</param>
    public abstract long FlopsPerToken(ModelConfig model);

    /// <summary>Checks the members for use outside a model.</summary>
    /// <param name="width">Width p of input and output.</param>
    /// <exception cref="UserErrorException">A member is out of range.</exception>
    public void Validate(int width)
    {
        var at = new ConfigCheck("feedForward");
        at.AtLeast(width, 1, "width");
        Check(new ModelConfig { VocabularySize = 2, ContextLength = 1, Width = width, Blocks = [] }, at);
    }

    internal abstract void Check(ModelConfig model, ConfigCheck at);
}

/// <summary>GPT-2's feed-forward: W_2 GELU(W_1 x), hidden width 4 p unless said otherwise.</summary>
public sealed record MlpConfig : FeedForwardConfig
{
    /// <summary>Hidden width; absent: 4 p.</summary>
    public int? HiddenSize { get; init; }

    /// <summary>Whether both maps have a bias.</summary>
    public bool Bias { get; init; } = true;

    /// <summary>Hidden width with the default resolved.</summary>
    /// <param name="width">Model width p.</param>
    public int ResolveHiddenSize(int width) => HiddenSize ?? 4 * width;

    /// <inheritdoc/>
    public override long ParameterCount(ModelConfig model)
    {
        long p = model.Width, hidden = ResolveHiddenSize(model.Width);
        return (2 * p * hidden) + (Bias ? hidden + p : 0);
    }

    /// <inheritdoc/>
    public override string ParameterFormula() => HiddenSize is { } hidden
        ? $"2 p n{(Bias ? " + n + p" : string.Empty)}, n = {hidden}"
        : $"8 p^2{(Bias ? " + 5 p" : string.Empty)}";

    /// <inheritdoc/>
    public override long FlopsPerToken(ModelConfig model) => 4L * model.Width * ResolveHiddenSize(model.Width);

    internal override void Check(ModelConfig model, ConfigCheck at) => at.AtLeast(ResolveHiddenSize(model.Width), 1, "hiddenSize");
}

/// <summary>Llama's feed-forward: W_down (SiLU(W_gate x) (.) W_up x), without biases.</summary>
public sealed record SwiGluConfig : FeedForwardConfig
{
    /// <summary>Hidden width; at least 1.</summary>
    public required int HiddenSize { get; init; }

    /// <inheritdoc/>
    public override long ParameterCount(ModelConfig model) => 3L * model.Width * HiddenSize;

    /// <inheritdoc/>
    public override string ParameterFormula() => $"3 p n, n = {HiddenSize}";

    /// <inheritdoc/>
    public override long FlopsPerToken(ModelConfig model) => 6L * model.Width * HiddenSize;

    internal override void Check(ModelConfig model, ConfigCheck at) => at.AtLeast(HiddenSize, 1, "hiddenSize");
}

/// <summary>How the input is gated before the ladders.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<GateKind>))]
public enum GateKind
{
    /// <summary>x (.) SiLU(G x).</summary>
    Silu,

    /// <summary>x (.) sigmoid(G x).</summary>
    Sigmoid,

    /// <summary>(A x) (.) SiLU(G x): a second map in place of the input itself, p^2 parameters more.</summary>
    Product,
}

/// <summary>
/// The paper's feed-forward: an ensemble of ladders on a gated, non-expanded input g, y = U g + V z(g) (PAPER section 2).
/// L p (d + 1) + 2 p^2 parameters.
/// </summary>
public sealed record CffnConfig : FeedForwardConfig
{
    /// <summary>The ladders.</summary>
    public required LadderConfig Ladders { get; init; }

    /// <summary>How the input is gated.</summary>
    public GateKind Gate { get; init; } = GateKind.Silu;

    /// <summary>True: U acts on the gated input. False: on the ungated one, as in the public re-implementation.</summary>
    public bool LinearOnGated { get; init; } = true;

    /// <inheritdoc/>
    public override long ParameterCount(ModelConfig model) =>
        (GatedLinearConfig.Maps(Gate) * model.Width * model.Width) + Ladders.DenominatorParameters(model.Width) + ((long)Ladders.Count * model.Width);

    /// <inheritdoc/>
    public override string ParameterFormula()
    {
        var bias = Ladders.Bias is null ? string.Empty : Ladders.Kind == LadderKind.Projected ? " + L d" : " + L d p";
        return $"L p (d + 1) + {GatedLinearConfig.Maps(Gate)} p^2{bias}, L = {Ladders.Count}, d = {Ladders.Depth}";
    }

    /// <inheritdoc/>
    public override long FlopsPerToken(ModelConfig model)
    {
        long p = model.Width, scalars = Ladders.Kind == LadderKind.Projected ? 1 : p;
        return (2 * GatedLinearConfig.Maps(Gate) * p * p) + (2 * Ladders.Count * p * (Ladders.Depth + 1)) + (2L * Ladders.Depth * Ladders.Count * scalars);
    }

    internal override void Check(ModelConfig model, ConfigCheck at) => Ladders.Check(at.Under("ladders"));
}

/// <summary>The control without ladders (L = 0): y = U g with the gated input g of <see cref="CffnConfig"/>. 2 p^2 parameters, or 3 p^2 with the product gate.</summary>
public sealed record GatedLinearConfig : FeedForwardConfig
{
    /// <summary>How the input is gated.</summary>
    public GateKind Gate { get; init; } = GateKind.Silu;

    /// <inheritdoc/>
    public override long ParameterCount(ModelConfig model) => Maps(Gate) * model.Width * model.Width;

    /// <inheritdoc/>
    public override string ParameterFormula() => $"{Maps(Gate)} p^2";

    /// <inheritdoc/>
    public override long FlopsPerToken(ModelConfig model) => 2 * Maps(Gate) * model.Width * model.Width;

    // The p x p maps of gate and U.
    internal static long Maps(GateKind gate) => gate == GateKind.Product ? 3 : 2;

    internal override void Check(ModelConfig model, ConfigCheck at)
    {
    }
}
