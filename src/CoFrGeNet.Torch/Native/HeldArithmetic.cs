using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Native;

/// <summary>Tensors and numbers, with the numbers held while libtorch reads them (<see cref="HeldScalars"/> says why).</summary>
internal static class HeldArithmetic
{
    /// <summary>x + y.</summary>
    public static Tensor Plus(this Tensor x, Tensor y) => x.add(y, HeldScalars.One);

    /// <summary>x + value.</summary>
    public static Tensor Plus(this Tensor x, double value)
    {
        using var scalar = value.ToScalar();
        return x.add(scalar);
    }

    /// <summary>value x.</summary>
    public static Tensor Times(this Tensor x, double value)
    {
        using var scalar = value.ToScalar();
        return x.mul(scalar);
    }

    /// <summary>value x, of whole numbers where x is.</summary>
    public static Tensor Times(this Tensor x, long value)
    {
        using var scalar = value.ToScalar();
        return x.mul(scalar);
    }

    /// <summary>ln(1 + e^x).</summary>
    public static Tensor Softplus(this Tensor x) => nn.functional.logsigmoid(x.neg()).neg();

    /// <summary>x modulo value, of whole numbers.</summary>
    public static Tensor Modulo(this Tensor x, long value)
    {
        using var scalar = value.ToScalar();
        return x.remainder(scalar);
    }

    /// <summary>0 .. count - 1.</summary>
    public static Tensor CountUp(long count, ScalarType type, Device? device = null)
    {
        using var end = count.ToScalar();
        return arange(HeldScalars.Zero, end, type, device);
    }

    /// <summary>Where x is below a number.</summary>
    public static Tensor IsBelow(this Tensor x, double value)
    {
        using var scalar = value.ToScalar();
        return x.lt(scalar);
    }
}
