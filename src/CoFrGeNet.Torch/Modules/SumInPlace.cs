using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Torch;

/// <summary>A sum of which the first term is not needed again.</summary>
internal static class SumInPlace
{
    /// <summary>y + x, in y's memory where no type is lost.</summary>
    /// <param name="y">Any shape; no backward pass needs its value.</param>
    /// <param name="x">Of the same shape.</param>
    public static Tensor Of(Tensor y, Tensor x) => y.dtype == x.dtype ? y.add_(x, HeldScalars.One) : y.Plus(x);
}
