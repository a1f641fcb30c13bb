using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace CoFrGeNet.Evaluation;

/// <summary>One window: the tokens that the model reads, and the tokens to score after its last positions.</summary>
/// <param name="Inputs">What the model reads; at least one token.</param>
/// <param name="Targets">The tokens scored; the last one follows the last input, the others are inputs themselves.</param>
internal readonly record struct TokenSpan(ReadOnlyMemory<int> Inputs, ReadOnlyMemory<int> Targets)
{
    /// <summary>The position in the inputs whose logits predict the first target.</summary>
    public int FirstPosition => Inputs.Length - Targets.Length;

    /// <summary>Names the question, so that its answer can be found again.</summary>
    public string Key()
    {
        var ids = new int[Inputs.Length + Targets.Length + 1];
        ids[0] = Targets.Length;
        Inputs.CopyTo(ids.AsMemory(1));
        Targets.CopyTo(ids.AsMemory(1 + Inputs.Length));
        return Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(ids.AsSpan())).AsSpan(0, 16));
    }
}
