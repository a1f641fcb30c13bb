using CoFrGeNet.Kernels;

namespace CoFrGeNet.Inference;

// Dimensions: p = width, L = ladders, d = depth.

/// <summary>Shows elementwise ladders to whoever looks at a pass: ladder l of coordinate c has the number l p + c. Slow, since nobody waits for it.</summary>
internal static unsafe class ElementwiseLook
{
    /// <summary>Looks at all rows.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="constants">Guard and depth.</param>
    /// <param name="weights">The parameters.</param>
    /// <param name="width">p.</param>
    /// <param name="inputs">The gated inputs of the first row.</param>
    /// <param name="stride">From a row to the next.</param>
    public static void At(Pass pass, LadderConstants constants, ElementwiseParameters weights, int width, float* inputs, int stride)
    {
        // Apart from what follows, whose captured variables would be allocated on entry.
        if (pass.Probe is { } probe)
        {
            Show(pass, probe, constants, weights, width, inputs, stride);
        }
    }

    private static void Show(Pass pass, LadderProbe probe, LadderConstants constants, ElementwiseParameters weights, int width, float* inputs, int stride)
    {
        for (var row = 0; row < pass.Rows; row++, inputs += stride)
        {
            var g = inputs;
            var clipped = 0;
            for (var l = 0; l < weights.Ladders; l++)
            {
                clipped += Clipped(pass.Kernels, constants, weights, l, g);
            }

            probe.Add(weights.Ladders * width, constants.Depth, clipped, ladder => Line(pass.Kernels, constants, weights, ladder, width, g));
        }
    }

    private static int Clipped(EngineKernels kernels, LadderConstants constants, ElementwiseParameters weights, int ladder, float* g)
    {
        if (weights.Low == null)
        {
            return 0;
        }

        var a = new float[constants.Depth * weights.Stride];
        for (var k = 0; k < constants.Depth; k++)
        {
            for (var c = 0; c < weights.Stride; c++)
            {
                var place = ((((nint)k * weights.Ladders) + ladder) * weights.Stride) + c;
                a[(k * weights.Stride) + c] = (weights.Levels[place] * g[c]) + (weights.Biases == null ? 0 : weights.Biases[place]);
            }
        }

        var z = new float[weights.Stride];
        LadderLine.With(kernels, constants)(a, weights.Stride, z);
        var clipped = 0;
        for (var c = 0; c < weights.Stride; c++)
        {
            // Where registers are filled up, the range has no ends.
            var own = ((nint)ladder * weights.Stride) + c;
            clipped += z[c] < weights.Low[own] || z[c] > weights.High[own] ? 1 : 0;
        }

        return clipped;
    }

    private static LadderLine Line(EngineKernels kernels, LadderConstants constants, ElementwiseParameters weights, int number, int width, float* g)
    {
        var (ladder, c) = (number / width, number % width);
        var slopes = new float[constants.Depth];
        var biases = new float[constants.Depth];
        for (var k = 0; k < constants.Depth; k++)
        {
            var place = ((((nint)k * weights.Ladders) + ladder) * weights.Stride) + c;
            slopes[k] = weights.Levels[place] * g[c];
            biases[k] = weights.Biases == null ? 0 : weights.Biases[place];
        }

        var own = ((nint)ladder * weights.Stride) + c;
        return new LadderLine(
            LadderLine.With(kernels, constants), slopes, biases, weights.Low == null ? float.NegativeInfinity : weights.Low[own], weights.High == null ? float.PositiveInfinity : weights.High[own]);
    }
}
