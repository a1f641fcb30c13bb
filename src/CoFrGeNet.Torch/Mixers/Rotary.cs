using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// Rotary position embedding in the rotate-half form: coordinates i and i + s/2 of a head turn by position x theta^(-2i/s), with Llama 3's
/// stretching of low frequencies as an option.
/// </summary>
public sealed class Rotary
{
    private readonly double[] _frequencies;

    /// <summary>Computes the angular frequencies.</summary>
    /// <param name="headSize">Width s of a head; even.</param>
    /// <param name="config">Base and scaling.</param>
    public Rotary(int headSize, RotaryConfig config) => _frequencies = config.Frequencies(headSize);

    /// <summary>Angular frequencies in radians a position, s / 2 of them.</summary>
    public IReadOnlyList<double> Frequencies => _frequencies;

    /// <summary>Turns queries or keys.</summary>
    /// <param name="x">[B, h, t, s], at positions offset, offset + 1, ..</param>
    /// <param name="offset">Position of the first token.</param>
    /// <returns>[B, h, t, s] in the type of x.</returns>
    public Tensor Apply(Tensor x, long offset)
    {
        using var scope = NewDisposeScope();
        long t = x.shape[2], half = _frequencies.Length;
        // Angles in float64: at position 100,000 a float32 angle is off by 0.004.
        using Scalar begin = offset.ToScalar(), end = (offset + t).ToScalar();
        var angles = outer(arange(begin, end, ScalarType.Float64, x.device), tensor(_frequencies, ScalarType.Float64, x.device));
        var type = x.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor cos = angles.cos().to(type), sin = angles.sin().to(type);
        Tensor first = x.narrow(-1, 0, half).to(type), second = x.narrow(-1, half, half).to(type);
        return cat([(first * cos) - (second * sin), (second * cos).Plus(first * sin)], -1).to(x.dtype).MoveToOuterDisposeScope();
    }
}
