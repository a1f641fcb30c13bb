namespace CoFrGeNet.Inference;

/// <summary>The trained range of ladder outputs as kernels take it: copied, whole registers, and without limits where nothing was seen.</summary>
internal static unsafe class LadderBounds
{
    /// <summary>Reads a range.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">Its name.</param>
    /// <param name="count">Number of outputs.</param>
    /// <param name="shape">Their shape in the file.</param>
    public static (nint Low, nint High) Read(WeightReader weights, string name, long count, params ReadOnlySpan<long> shape)
    {
        float* low = weights.Vector($"{name}.low", shape), high = weights.Vector($"{name}.high", shape);
        var padded = (count + EngineKernels.RowAlignment - 1) / EngineKernels.RowAlignment * EngineKernels.RowAlignment;
        float* lowest = weights.Allocate(padded), highest = weights.Allocate(padded);
        for (long i = 0; i < padded; i++)
        {
            var isSeen = i < count && low[i] <= high[i];
            lowest[i] = isSeen ? low[i] : float.NegativeInfinity;
            highest[i] = isSeen ? high[i] : float.PositiveInfinity;
        }

        return ((nint)lowest, (nint)highest);
    }
}
