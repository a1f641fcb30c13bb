using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace CoFrGeNet.Inference;

/// <summary>Asks the processor for weights that are needed soon, before its own prediction does.</summary>
internal static unsafe class Ahead
{
    /// <summary>Bytes that come at once.</summary>
    private const int Line = 64;

    // As far as a stream of weights comes in the time that memory takes.
    private const int Distance = 512;

    /// <summary>Asks for what follows on the step at an address; any address is allowed.</summary>
    /// <param name="step">The step's weights.</param>
    /// <param name="bytes">Their number, a constant.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fetch(byte* step, int bytes)
    {
        // Narrower steps would ask for the same line again and again.
        if (!Sse.IsSupported || bytes < Line / 2)
        {
            return;
        }

        Sse.Prefetch0(step + Distance);
        if (bytes > Line)
        {
            Sse.Prefetch0(step + Distance + Line);
        }
    }
}
