using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Kernels;

/// <summary>The numbers of a guard and a <see cref="LadderRange"/> as float32 kernels take them.</summary>
internal readonly struct LadderConstants
{
    private const int MaxExponent = 127;

    private LadderConstants(PoleGuard guard, LadderRange range)
    {
        Guard = guard;
        Depth = range.Depth;
        Bound = (float)range.Bound;
        Start = (float)range.Scale;
        Epsilon = (float)(guard.Epsilon * (guard is SmoothGuard ? range.Scale : 1));
        EpsilonSquare = (float)(guard.Epsilon * range.Scale * guard.Epsilon * range.Scale);
        MaxGradient = (float)range.MaxGradient;
        UnboundedLimit = (float)range.UnboundedLimit(guard);
        for (int k = 1; k <= range.Depth; k++)
        {
            SaturatedLevels = (guard is SmoothGuard ? range.SmoothCanOverflow(k) : guard is ClampGuard && range.SquareCanOverflow(k)) ? k : SaturatedLevels;
        }
    }

    public PoleGuard Guard { get; }

    /// <summary>d.</summary>
    public int Depth { get; }

    /// <summary>|a_k| is bounded to this.</summary>
    public float Bound { get; }

    /// <summary>K_0.</summary>
    public float Start { get; }

    /// <summary>eps in the units of K_d as the kernel computes it.</summary>
    public float Epsilon { get; }

    /// <summary>The same squared, rounded once; 0 or more.</summary>
    public float EpsilonSquare { get; }

    /// <summary>What an overflowing derivative is held at.</summary>
    public float MaxGradient { get; }

    /// <summary>While all |a_k| are at most this, nothing has to be bounded or held.</summary>
    public float UnboundedLimit { get; }

    /// <summary>The derivatives of levels 1 .. this can overflow; those behind cannot.</summary>
    public int SaturatedLevels { get; }

    /// <summary>The constants of ladders of depth <paramref name="depth"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Depth or epsilon lie outside <see cref="LadderRange"/>'s limits.</exception>
    public static LadderConstants Of(int depth, PoleGuard guard) => new(guard, LadderRange.For(depth, MaxExponent, guard));
}
