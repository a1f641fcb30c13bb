using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

/// <summary>Reads the parameters of elementwise ladders into rows of whole registers, a copy.</summary>
internal static unsafe class ElementwiseReader
{
    /// <summary>Reads them.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">Name of the feed-forward.</param>
    /// <param name="width">p.</param>
    /// <param name="config">Count, depth, biases, clipping.</param>
    public static ElementwiseParameters Read(WeightReader weights, string name, int width, LadderConfig config)
    {
        var (count, depth, stride) = (config.Count, config.Depth, EngineKernels.Padded(width));
        long size = (long)count * stride;
        var parameters = new ElementwiseParameters
        {
            Ladders = count,
            Stride = stride,
            Levels = weights.Allocate(depth * size),
            Biases = config.Bias is null ? null : weights.Allocate(depth * size),
            Combine = weights.Allocate(size),
        };
        for (var k = 0; k < depth; k++)
        {
            Copy(weights.Vector($"{name}.ladders.levels.{k}", count, width), parameters.Levels + (k * size), 0);
            if (parameters.Biases != null)
            {
                Copy(weights.Vector($"{name}.ladders.biases.{k}", (long)count * width), parameters.Biases + (k * size), 0);
            }
        }

        Copy(weights.Vector($"{name}.combine.weight", count, width), parameters.Combine, 0);
        if (config.ClipToTrainedRange)
        {
            var (low, high) = LadderBounds.Read(weights, $"{name}.ladders.range", (long)count * width, (long)count * width);
            parameters.Low = weights.Allocate(size);
            parameters.High = weights.Allocate(size);
            Copy((float*)low, parameters.Low, float.NegativeInfinity);
            Copy((float*)high, parameters.High, float.PositiveInfinity);
        }

        return parameters;

        void Copy(float* source, float* target, float padding)
        {
            for (var l = 0; l < count; l++, source += width, target += stride)
            {
                new ReadOnlySpan<float>(source, width).CopyTo(new Span<float>(target, width));
                new Span<float>(target + width, stride - width).Fill(padding);
            }
        }
    }
}
