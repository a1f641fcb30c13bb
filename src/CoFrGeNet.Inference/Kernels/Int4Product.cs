using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Inference;

/// <summary>Products of few rows with int4 weights: each block is summed up without its scale first.</summary>
internal static unsafe class Int4Product<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    /// <inheritdoc cref="RowProduct{TDot, TSum, TX}.Run"/>
    public static void Run(in ProductCall call, int first, int end)
    {
        var matrix = call.Matrix;
        for (var output = first; output < end; output++)
        {
            var w = matrix.Data + (output * matrix.RowBytes);
            var scales = (ushort*)(matrix.Scales + (output * matrix.ScaleRowBytes));
            for (var row = 0; row < call.Rows; row++)
            {
                var value = Sum(call.X + (row * call.XStride), w, scales, matrix.Inputs) + (call.Bias == null ? 0 : call.Bias[output]);
                var y = call.Y + (row * call.YStride) + output;
                *y = call.Adds ? *y + value : value;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Sum(float* x, byte* w, ushort* scales, int inputs)
    {
        const int half = QuantizedRows.BlockInputs / 2;
        TLanes sum = default;
        var zero = TLanes.Of(8);
        for (var k = 0; k < inputs; k += 2 * half, w += half, scales++)
        {
            TLanes lower = default, upper = default;
            for (var i = 0; i < half; i += TLanes.Count)
            {
                lower = TLanes.MultiplyAdd(TLanes.LoadLowerHalves(w + i) - zero, TLanes.Load(x + k + i), lower);
                upper = TLanes.MultiplyAdd(TLanes.LoadUpperHalves(w + i) - zero, TLanes.Load(x + k + half + i), upper);
            }

            sum = TLanes.MultiplyAdd(TLanes.Of(BitConverter.UInt32BitsToSingle((uint)*scales << 16)), lower + upper, sum);
        }

        return TLanes.Sum(sum);
    }
}
