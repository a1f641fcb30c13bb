using System.Text.Json.Serialization;

namespace CoFrGeNet.Configuration;

/// <summary>The two norms in use.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<NormKind>))]
public enum NormKind
{
    /// <summary>Mean and variance, with weight and bias (GPT-2).</summary>
    LayerNorm,

    /// <summary>Root mean square, with weight only (Llama).</summary>
    RmsNorm,
}

/// <summary>Which norm, and its epsilon.</summary>
public sealed record NormConfig
{
    /// <summary>Which norm.</summary>
    public NormKind Kind { get; init; } = NormKind.LayerNorm;

    /// <summary>Added to the variance or mean square; greater than 0.</summary>
    public double Epsilon { get; init; } = 1e-5;
}
