using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: B = batch, T = tokens, h = heads, s = width of a head.

/// <summary>The sizes of queries, keys and values that stand beside each other, [B, T, 3 h s].</summary>
/// <param name="Batch">B.</param>
/// <param name="Tokens">T.</param>
/// <param name="Heads">h.</param>
/// <param name="HeadSize">s.</param>
internal readonly record struct CausalSize(int Batch, int Tokens, int Heads, int HeadSize)
{
    /// <summary>From a token's queries to the next one's.</summary>
    public int InputStride => 3 * Heads * HeadSize;

    /// <summary>From a token's outputs to the next one's.</summary>
    public int OutputStride => Heads * HeadSize;
}

/// <summary>
/// Causal softmax attention, o = softmax(q k^T / sqrt(s)) v of every head, for training: the scores of a few queries at a time stay in the caches, of all that
/// is between input and output only the logarithm of each row's sum is kept, and what the mask hides is not computed. Float32 inside. A head of a sequence is
/// one piece of work, so the results do not depend on the number of threads.
/// </summary>
internal static unsafe class CausalAttentionKernel
{
    /// <summary>o [B, T, h s] of queries, keys and values [B, T, 3 h s].</summary>
    /// <param name="size">B, T, h and s.</param>
    /// <param name="qkv">Queries of all heads, then keys, then values, of the given type.</param>
    /// <param name="type">The type of qkv and o.</param>
    /// <param name="o">Receives the outputs.</param>
    /// <param name="logSums">Receives log of the sum of exp(scores) of every row, [B, h, T].</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Forward(CausalSize size, void* qkv, ElementType type, void* o, float* logSums, int threads, SimdWidth? width = null) =>
        Run(new CausalCall { Size = size, Qkv = qkv, O = o, LogSums = logSums }, type, threads, width);

    /// <summary>The gradient for queries, keys and values, from that for o.</summary>
    /// <param name="size">B, T, h and s.</param>
    /// <param name="qkv">As in <see cref="Forward"/>.</param>
    /// <param name="type">The type of all but logSums.</param>
    /// <param name="o">What <see cref="Forward"/> gave.</param>
    /// <param name="logSums">What <see cref="Forward"/> gave.</param>
    /// <param name="gradO">The gradient for o, [B, T, h s].</param>
    /// <param name="gradQkv">Receives the gradient, [B, T, 3 h s].</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Backward(
        CausalSize size, void* qkv, ElementType type, void* o, float* logSums, void* gradO, void* gradQkv, int threads, SimdWidth? width = null) =>
        Run(new CausalCall { Size = size, Qkv = qkv, O = o, LogSums = logSums, GradO = gradO, GradQkv = gradQkv }, type, threads, width);

    private static void Run(CausalCall call, ElementType type, int threads, SimdWidth? width) =>
        LaneWork.Run(call, call.Size.Tokens == 0 ? 0 : call.Size.Batch * call.Size.Heads, type, threads, width);
}
