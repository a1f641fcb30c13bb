namespace CoFrGeNet.Inference;

// Dimensions: M = rows (tokens), K = inputs, N = outputs.

/// <summary>y [M, N] = x [M, K] W^T + b.</summary>
internal readonly unsafe struct ProductCall
{
    /// <summary>W [N, K].</summary>
    public required Matrix Matrix { get; init; }

    /// <summary>b [N], or null.</summary>
    public float* Bias { get; init; }

    /// <summary>x; for the products of few rows as <see cref="EngineKernels.Prepare"/> left it.</summary>
    public required float* X { get; init; }

    /// <summary>From a row of x to the next.</summary>
    public required nint XStride { get; init; }

    /// <summary>What x is counted in, for each row; null: in ones.</summary>
    public float* Steps { get; init; }

    /// <summary>y.</summary>
    public required float* Y { get; init; }

    /// <summary>From a row of y to the next.</summary>
    public required nint YStride { get; init; }

    /// <summary>M.</summary>
    public required int Rows { get; init; }

    /// <summary>Whether the product is added to what y holds.</summary>
    public bool Adds { get; init; }
}
