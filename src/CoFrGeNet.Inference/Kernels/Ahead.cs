using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace CoFrGeNet.Inference;

/// <summary>
/// Asks the processor for weights that are needed soon, before its own prediction does: for one row a little ahead in each stream; where rows share weights, each
/// group of them asks for its part of the next tile, so that memory is busy while they are multiplied.
/// </summary>
internal static unsafe class Ahead
{
    /// <summary>How far ahead one row asks: as far as a stream of weights comes in the time that memory takes.</summary>
    public const int Distance = 512;

    private const int Line = 64;

    /// <summary>Asks for a step's weights.</summary>
    /// <param name="step">Any address.</param>
    /// <param name="bytes">Bytes of a step, a constant.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fetch(byte* step, int bytes)
    {
        // Narrower steps would ask for the same line again and again.
        if (!Sse.IsSupported || bytes < Line / 2)
        {
            return;
        }

        Sse.Prefetch0(step);
        if (bytes > Line)
        {
            Sse.Prefetch0(step + Line);
        }
    }
}
