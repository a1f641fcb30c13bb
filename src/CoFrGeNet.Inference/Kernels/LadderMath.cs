using System.Runtime.CompilerServices;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Kernels;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

// Dimensions: L = ladders, d = depth, p = width. Everything is padded to whole registers of 16 floats.

/// <summary>Ladders of single rows, with the formulas of <see cref="LadderCore{TLanes, TGuard}"/> and outputs clipped to the trained range.</summary>
internal static unsafe class LadderMath<TLanes, TGuard>
    where TLanes : unmanaged, ILanes<TLanes>
    where TGuard : struct, IGuardKind
{
    /// <summary>z = f(a), clipped.</summary>
    /// <param name="constants">Guard and depth.</param>
    /// <param name="a">Partial denominators, [d, stride].</param>
    /// <param name="stride">From a level to the next.</param>
    /// <param name="ladders">L.</param>
    /// <param name="low">Lower ends, [L]; null: nothing is clipped.</param>
    /// <param name="high">Upper ends, [L].</param>
    /// <param name="z">Receives the outputs, [L].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Projected(in LadderConstants constants, float* a, int stride, int ladders, float* low, float* high, float* z)
    {
        var core = new LadderCore<TLanes, TGuard>(constants);
        var x = stackalloc TLanes[LadderRange.MaxDepth];
        for (var j = 0; j < ladders; j += TLanes.Count)
        {
            for (var k = 0; k < constants.Depth; k++)
            {
                x[k] = core.Denominator(TLanes.Load(a + (k * stride) + j));
            }

            var f = core.Value(x, out _);
            TLanes.Store(low == null ? f : TLanes.Max(TLanes.Load(low + j), TLanes.Min(TLanes.Load(high + j), f)), z + j);
        }
    }

    /// <summary>y += sum over j of V_j (.) f(w_j (.) g), coordinate by coordinate.</summary>
    /// <param name="constants">Guard and depth.</param>
    /// <param name="weights">The parameters, padded.</param>
    /// <param name="g">The input, [p].</param>
    /// <param name="y">What is added to, [p].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Elementwise(in LadderConstants constants, in ElementwiseParameters weights, float* g, float* y)
    {
        var core = new LadderCore<TLanes, TGuard>(constants);
        var x = stackalloc TLanes[LadderRange.MaxDepth];
        for (var c = 0; c < weights.Stride; c += TLanes.Count)
        {
            TLanes input = TLanes.Load(g + c), sum = default;
            for (var l = 0; l < weights.Ladders; l++)
            {
                for (var k = 0; k < constants.Depth; k++)
                {
                    nint place = ((((nint)k * weights.Ladders) + l) * weights.Stride) + c;
                    var a = TLanes.Load(weights.Levels + place) * input;
                    x[k] = core.Denominator(weights.Biases == null ? a : a + TLanes.Load(weights.Biases + place));
                }

                var f = core.Value(x, out _);
                nint own = ((nint)l * weights.Stride) + c;
                f = weights.Low == null ? f : TLanes.Max(TLanes.Load(weights.Low + own), TLanes.Min(TLanes.Load(weights.High + own), f));
                sum = TLanes.MultiplyAdd(TLanes.Load(weights.Combine + own), f, sum);
            }

            TLanes.Store(TLanes.Load(y + c) + sum, y + c);
        }
    }

    /// <summary>y = w_0 x + f(w_1 x, .., w_d x), clipped: one ensemble of univariate ladders at one position, the same weights for every channel.</summary>
    /// <param name="constants">Guard and depth.</param>
    /// <param name="x">The input, [p].</param>
    /// <param name="width">p.</param>
    /// <param name="weights">w_0 .. w_d.</param>
    /// <param name="low">Lower end of the outputs.</param>
    /// <param name="high">Upper end.</param>
    /// <param name="y">Receives the outputs, [p].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Univariate(in LadderConstants constants, float* x, int width, float* weights, float low, float high, float* y)
    {
        var core = new LadderCore<TLanes, TGuard>(constants);
        var a = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes lowest = TLanes.Of(low), highest = TLanes.Of(high);
        for (var c = 0; c < width; c += TLanes.Count)
        {
            var input = TLanes.Load(x + c);
            for (var k = 0; k < constants.Depth; k++)
            {
                a[k] = core.Denominator(input * TLanes.Of(weights[k + 1]));
            }

            var f = TLanes.Max(lowest, TLanes.Min(highest, core.Value(a, out _)));
            TLanes.Store((input * TLanes.Of(weights[0])) + f, y + c);
        }
    }
}

/// <summary>The parameters of elementwise ladders, rows padded to <see cref="Stride"/>.</summary>
internal unsafe struct ElementwiseParameters
{
    /// <summary>L.</summary>
    public int Ladders;

    /// <summary>From a row to the next: p in whole registers.</summary>
    public int Stride;

    /// <summary>w [d, L, p].</summary>
    public float* Levels;

    /// <summary>Biases [d, L, p], or null.</summary>
    public float* Biases;

    /// <summary>V [L, p].</summary>
    public float* Combine;

    /// <summary>Lower ends [L, p], or null.</summary>
    public float* Low;

    /// <summary>Upper ends [L, p], or null.</summary>
    public float* High;
}
