using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

/// <summary>The angles of a rotary position embedding for the rows of a pass; layers with the same configuration share them.</summary>
internal sealed unsafe class Rotary
{
    private readonly double[] _frequencies;
    private float* _cos;
    private float* _sin;

    /// <summary>Computes the angular frequencies.</summary>
    /// <param name="headSize">Width s of a head; even.</param>
    /// <param name="config">Base and scaling.</param>
    public Rotary(int headSize, RotaryConfig config) => _frequencies = config.Frequencies(headSize);

    /// <summary>Number of angles, s / 2.</summary>
    public int Half => _frequencies.Length;

    /// <summary>Computes the angles of all rows, once a pass.</summary>
    /// <param name="pass">The pass; the angles lie in its working memory.</param>
    public void Prepare(Pass pass)
    {
        _cos = pass.Arena.Take((long)pass.Rows * Half);
        _sin = pass.Arena.Take((long)pass.Rows * Half);
        for (var row = 0; row < pass.Rows; row++)
        {
            for (var i = 0; i < Half; i++)
            {
                // In float64: at position 100,000 a float32 angle is off by 0.004.
                var (sin, cos) = Math.SinCos(pass.Position(row) * _frequencies[i]);
                (_cos[(row * Half) + i], _sin[(row * Half) + i]) = ((float)cos, (float)sin);
            }
        }
    }

    /// <summary>Turns neighbouring heads of a row.</summary>
    /// <param name="kernels">The kernels.</param>
    /// <param name="row">The row.</param>
    /// <param name="x">The first head.</param>
    /// <param name="heads">Number of heads.</param>
    public void Apply(EngineKernels kernels, int row, float* x, int heads)
    {
        for (var head = 0; head < heads; head++)
        {
            kernels.Rotate(x + (head * 2 * Half), Half, _cos + (row * Half), _sin + (row * Half));
        }
    }
}
