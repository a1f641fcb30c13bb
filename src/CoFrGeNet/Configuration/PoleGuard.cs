using System.Text.Json.Serialization;

namespace CoFrGeNet.Configuration;

/// <summary>
/// How a ladder f = K_{d-1} / K_d is kept away from its poles, the zeros of the last continuant K_d (PAPER section 1).
/// The guard replaces the reciprocal 1 / K_d, once per ladder; everything else of the ladder stays as it is.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ClampGuard), "clamp")]
[JsonDerivedType(typeof(SmoothGuard), "smooth")]
[JsonDerivedType(typeof(PositiveGuard), "positive")]
public abstract record PoleGuard
{
    /// <summary>The width of the guarded zone around K_d = 0, in units of K_d; greater than 0.</summary>
    public abstract double Epsilon { get; init; }

    /// <summary>The guard that the paper prescribes: <see cref="ClampGuard"/> with epsilon 0.01.</summary>
    public static PoleGuard Paper { get; } = new ClampGuard();

    /// <summary>The guard that trains calmly: <see cref="SmoothGuard"/> with epsilon 1.</summary>
    public static PoleGuard Default { get; } = new SmoothGuard();
}

/// <summary>
/// The paper's guard: K_d becomes sgn(K_d) max(|K_d|, eps) with sgn(0) = +1, in the value and in the closed-form gradient
/// df/da_k = (-1)^k (K_{d-k} / K_d)^2 (Proposition 1).
/// </summary>
public sealed record ClampGuard : PoleGuard
{
    /// <inheritdoc/>
    public override double Epsilon { get; init; } = 0.01;
}

/// <summary>
/// A bounded reciprocal: 1 / K_d becomes K_d / (K_d^2 + eps^2), at most 1 / (2 eps) in magnitude and smooth through the pole.
/// The gradient is the exact derivative of that value.
/// </summary>
public sealed record SmoothGuard : PoleGuard
{
    /// <inheritdoc/>
    public override double Epsilon { get; init; } = 1.0;
}

/// <summary>
/// No poles at all: every partial denominator becomes softplus(a_k) + eps, so that K_d is positive and 0 &lt; f &lt;= 1 / eps.
/// The gradient is Proposition 1 times the derivative of softplus.
/// </summary>
public sealed record PositiveGuard : PoleGuard
{
    /// <inheritdoc/>
    public override double Epsilon { get; init; } = 0.01;
}
