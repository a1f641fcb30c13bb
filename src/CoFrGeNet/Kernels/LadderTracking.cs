namespace CoFrGeNet.Kernels;

/// <summary>What a forward pass notes about its ladders on the way; every member may be left out.</summary>
internal sealed unsafe class LadderTracking
{
    private readonly Lock _gate = new();

    /// <summary>What becomes of the outputs' range.</summary>
    public RangeUse RangeUse { get; init; }

    /// <summary>One lower end a ladder, float32; +infinity where nothing was seen.</summary>
    public float* Low { get; init; }

    /// <summary>One upper end a ladder, float32; -infinity where nothing was seen.</summary>
    public float* High { get; init; }

    /// <summary>Ladders a group; groups lie one behind the other in the ranges.</summary>
    public int GroupSize { get; init; }

    /// <summary>Whether poles are counted.</summary>
    public bool CountsPoles { get; init; }

    /// <summary>Denominators with |K_d| &lt; eps.</summary>
    public long Guarded { get; private set; }

    /// <summary>The smallest |K_d| in the kernel's units; NaN once a K_d is.</summary>
    public float MinDenominator { get; private set; } = float.PositiveInfinity;

    /// <summary>The largest |f|, before clipping; NaN once an f is.</summary>
    public float MaxOutput { get; private set; }

    /// <summary>Adds what a piece of the work has seen. The outcome does not depend on the order of the pieces.</summary>
    public void Add(long guarded, float minDenominator, float maxOutput)
    {
        lock (_gate)
        {
            Guarded += guarded;
            MinDenominator = MathF.Min(MinDenominator, minDenominator);
            MaxOutput = MathF.Max(MaxOutput, maxOutput);
        }
    }

    /// <summary>Widens the range of ladders first .. first + count - 1 by what a piece of the work has seen.</summary>
    public void Widen(int first, int count, float* low, float* high)
    {
        lock (_gate)
        {
            for (int j = 0; j < count; j++)
            {
                Low[first + j] = MathF.Min(Low[first + j], low[j]);
                High[first + j] = MathF.Max(High[first + j], high[j]);
            }
        }
    }
}

/// <summary>What a forward pass does with the range of each ladder's outputs.</summary>
internal enum RangeUse
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Widens it by the outputs, NaN left out.</summary>
    Widen,

    /// <summary>Clips the outputs to it where it is not empty.</summary>
    Clip,
}
