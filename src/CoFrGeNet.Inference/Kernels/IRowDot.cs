namespace CoFrGeNet.Inference;

// Dimensions: K = inputs.

/// <summary>How a row of weights of one type meets a row of x: a step takes some neighbouring inputs, in two halves. A row's rest is taken one by one.</summary>
/// <typeparam name="TSum">A register that sums up.</typeparam>
/// <typeparam name="TX">A register of x.</typeparam>
internal unsafe interface IRowDot<TSum, TX>
    where TSum : unmanaged
    where TX : unmanaged
{
    /// <summary>Inputs of a step.</summary>
    static abstract int Inputs { get; }

    /// <summary>Bytes of a step's weights.</summary>
    static abstract int Bytes { get; }

    /// <summary>Bytes of a value of x.</summary>
    static abstract int ValueBytes { get; }

    /// <summary>Half of a step's values of x.</summary>
    static abstract TX Load(byte* x);

    /// <summary>Adds a step's products, those of the first half first.</summary>
    static abstract TSum Add(TSum sum, byte* weights, TX first, TX second);

    /// <summary>The lanes' sums of four registers; of each the same, whatever stands beside it.</summary>
    static abstract void Sums(TSum a, TSum b, TSum c, TSum d, float* sums);

    /// <summary>Sum of the products behind the steps.</summary>
    static abstract float Rest(byte* weights, byte* x, int first, int inputs);
}
