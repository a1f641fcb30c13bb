using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

// Dimensions: n = width of a row.

/// <summary>What happens to single rows between products. A row is a row of whole registers: what lies behind its width up to the next register may be read and written.</summary>
internal static unsafe class RowMath<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    private const float GeluScale = 0.7978845608f, GeluCube = 0.044715f;

    /// <summary>y = w (x - mean) / sqrt(variance + eps) + b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LayerNorm(float* x, int width, float* weight, float* bias, float epsilon, float* y)
    {
        var mean = Sum(x, width) / width;
        var vectors = width / TLanes.Count * TLanes.Count;
        TLanes squares = default, m = TLanes.Of(mean);
        for (var i = 0; i < vectors; i += TLanes.Count)
        {
            var centered = TLanes.Load(x + i) - m;
            squares = TLanes.MultiplyAdd(centered, centered, squares);
        }

        var sum = TLanes.Sum(squares);
        for (var i = vectors; i < width; i++)
        {
            sum += (x[i] - mean) * (x[i] - mean);
        }

        var scale = 1 / MathF.Sqrt((sum / width) + epsilon);
        var s = TLanes.Of(scale);
        for (var i = 0; i < vectors; i += TLanes.Count)
        {
            TLanes.Store(TLanes.MultiplyAdd((TLanes.Load(x + i) - m) * s, TLanes.Load(weight + i), TLanes.Load(bias + i)), y + i);
        }

        for (var i = vectors; i < width; i++)
        {
            y[i] = ((x[i] - mean) * scale * weight[i]) + bias[i];
        }
    }

    /// <summary>y = w x / sqrt(mean(x^2) + eps).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RmsNorm(float* x, int width, float* weight, float epsilon, float* y)
    {
        var vectors = width / TLanes.Count * TLanes.Count;
        TLanes squares = default;
        for (var i = 0; i < vectors; i += TLanes.Count)
        {
            squares = TLanes.MultiplyAdd(TLanes.Load(x + i), TLanes.Load(x + i), squares);
        }

        var sum = TLanes.Sum(squares);
        for (var i = vectors; i < width; i++)
        {
            sum += x[i] * x[i];
        }

        var scale = 1 / MathF.Sqrt((sum / width) + epsilon);
        var s = TLanes.Of(scale);
        for (var i = 0; i < vectors; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Load(x + i) * s * TLanes.Load(weight + i), y + i);
        }

        for (var i = vectors; i < width; i++)
        {
            y[i] = x[i] * scale * weight[i];
        }
    }

    /// <summary>x = GELU(x) in its tanh form, x / (1 + e^(-2 u)) with u = sqrt(2 / pi) (x + 0.044715 x^3).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gelu(float* x, int width)
    {
        TLanes one = TLanes.Of(1), cube = TLanes.Of(-2 * GeluScale * GeluCube), scale = TLanes.Of(-2 * GeluScale);
        for (var i = 0; i < width; i += TLanes.Count)
        {
            var v = TLanes.Load(x + i);
            TLanes.Store(v / (one + TLanes.Exp(v * TLanes.MultiplyAdd(v * v, cube, scale))), x + i);
        }
    }

    /// <summary>x = max(x, 0).</summary>
    public static void Relu(float* x, int width)
    {
        var zero = TLanes.Of(0);
        for (var i = 0; i < width; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Max(zero, TLanes.Load(x + i)), x + i);
        }
    }

    /// <summary>gate = x SiLU(gate).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void GateBySilu(float* gate, float* x, int width)
    {
        var one = TLanes.Of(1);
        for (var i = 0; i < width; i += TLanes.Count)
        {
            var v = TLanes.Load(gate + i);
            TLanes.Store(TLanes.Load(x + i) * (v / (one + TLanes.Exp(-v))), gate + i);
        }
    }

    /// <summary>gate = x sigmoid(gate).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void GateBySigmoid(float* gate, float* x, int width)
    {
        var one = TLanes.Of(1);
        for (var i = 0; i < width; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Load(x + i) * (one / (one + TLanes.Exp(-TLanes.Load(gate + i)))), gate + i);
        }
    }

    /// <summary>y += x.</summary>
    public static void Add(float* x, int width, float* y)
    {
        for (var i = 0; i < width; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Load(y + i) + TLanes.Load(x + i), y + i);
        }
    }

    /// <summary>Turns a head by the angles of its position, in the rotate-half form.</summary>
    /// <param name="x">The head, [2 half].</param>
    /// <param name="half">Number of angles.</param>
    /// <param name="cos">Their cosines.</param>
    /// <param name="sin">Their sines.</param>
    public static void Rotate(float* x, int half, float* cos, float* sin)
    {
        for (var i = 0; i < half; i++)
        {
            float first = x[i], second = x[half + i];
            x[i] = (first * cos[i]) - (second * sin[i]);
            x[half + i] = (second * cos[i]) + (first * sin[i]);
        }
    }

    private static float Sum(float* x, int width)
    {
        var vectors = width / TLanes.Count * TLanes.Count;
        TLanes sum = default;
        for (var i = 0; i < vectors; i += TLanes.Count)
        {
            sum += TLanes.Load(x + i);
        }

        var total = TLanes.Sum(sum);
        for (var i = vectors; i < width; i++)
        {
            total += x[i];
        }

        return total;
    }
}
