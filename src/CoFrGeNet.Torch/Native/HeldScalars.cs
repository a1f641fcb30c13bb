using TorchSharp;

namespace CoFrGeNet.Torch.Native;

/// <summary>
/// Native scalars that live as long as the process. Where TorchSharp makes one of a number, or of the 1 that a sum of tensors multiplies its second term by, nobody holds the
/// wrapper while the native call reads it, and its finalizer may free it in between: a training run of hours can end that way. Operations of a step take theirs from here.
/// </summary>
internal static class HeldScalars
{
    /// <summary>1, the factor of a sum's second term. Whole, since tensors of whole numbers take no other.</summary>
    public static readonly Scalar One = 1L.ToScalar();

    /// <summary>-1.</summary>
    public static readonly Scalar MinusOne = (-1.0).ToScalar();

    /// <summary>0.</summary>
    public static readonly Scalar Zero = 0L.ToScalar();

    /// <summary>What every number is below.</summary>
    public static readonly Scalar PositiveInfinity = double.PositiveInfinity.ToScalar();

    /// <summary>What a softmax makes 0 of.</summary>
    public static readonly Scalar NegativeInfinity = double.NegativeInfinity.ToScalar();
}
