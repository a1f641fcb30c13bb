using CoFrGeNet.Kernels;

namespace CoFrGeNet.Inference;

/// <summary>A ladder along a line through its input: a_k(t) = t slope_k + bias_k.</summary>
/// <param name="Evaluate">Its outputs, before clipping, for rows of partial denominators [d, stride] of so many points.</param>
/// <param name="Slopes">The partial denominators of the input itself, without biases.</param>
/// <param name="Biases">The biases.</param>
/// <param name="Low">Lower end of its range; negative infinity: none.</param>
/// <param name="High">Upper end.</param>
internal sealed record LadderLine(LadderEvaluation Evaluate, float[] Slopes, float[] Biases, float Low, float High)
{
    /// <summary>The outputs at some scales.</summary>
    /// <param name="scales">The scales t.</param>
    public float[] At(ReadOnlySpan<float> scales)
    {
        var stride = EngineKernels.Padded(scales.Length);
        var a = new float[Slopes.Length * stride];
        for (var k = 0; k < Slopes.Length; k++)
        {
            for (var i = 0; i < scales.Length; i++)
            {
                a[(k * stride) + i] = (scales[i] * Slopes[k]) + Biases[k];
            }
        }

        var z = new float[stride];
        Evaluate(a, stride, z);
        return z[..scales.Length];
    }

    /// <summary>Evaluates with the kernels of a model.</summary>
    /// <param name="kernels">The kernels.</param>
    /// <param name="constants">Guard and depth.</param>
    public static unsafe LadderEvaluation With(EngineKernels kernels, LadderConstants constants) => (a, stride, z) =>
    {
        fixed (float* first = a, output = z)
        {
            kernels.Ladders(constants, first, stride, stride, null, null, output);
        }
    };
}
