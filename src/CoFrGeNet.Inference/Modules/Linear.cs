namespace CoFrGeNet.Inference;

/// <summary>A linear map W x + b.</summary>
/// <param name="Matrix">W.</param>
/// <param name="Bias">b, or null.</param>
internal readonly unsafe record struct Linear(Matrix Matrix, nint Bias)
{
    /// <summary>Reads a map's tensors.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">The map's name, in front of <c>.weight</c>.</param>
    /// <param name="outputs">Rows of W.</param>
    /// <param name="inputs">Columns of W.</param>
    /// <param name="bias">Whether it has a bias.</param>
    public static Linear Read(WeightReader weights, string name, long outputs, long inputs, bool bias = false) =>
        new(weights.Matrix($"{name}.weight", outputs, inputs), bias ? (nint)weights.Vector($"{name}.bias", outputs) : 0);
}
