using System.Buffers;
using System.Buffers.Text;
using SharpToken;

namespace CoFrGeNet.Text;

/// <summary>The tokens of GPT-2 in the order of their ids, which is the order in which they were merged.</summary>
internal static class Gpt2Vocabulary
{
    /// <summary>The number of tokens that are not special: 256 bytes and 50,000 merges.</summary>
    public const int OrdinaryTokens = 50256;

    private const int LongestToken = 256;

    // Lines "base64 rank"; SharpToken's own encoder treats letters outside the basic plane as symbols, so only its data is used.
    private const string Resource = "SharpToken.data.r50k_base.tiktoken";

    /// <summary>Reads the tokens; the index is the id.</summary>
    public static byte[][] ReadTokens()
    {
        using var stream = typeof(GptEncoding).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"SharpToken holds no resource '{Resource}'");
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        var tokens = new byte[OrdinaryTokens][];
        Span<byte> token = stackalloc byte[LongestToken];
        for (ReadOnlySpan<byte> rest = content; rest.IndexOf((byte)' ') is var space and > 0;)
        {
            if (Base64.DecodeFromUtf8(rest[..space], token, out _, out var length) != OperationStatus.Done || !Utf8Parser.TryParse(rest[(space + 1)..], out int id, out var digits))
            {
                throw new InvalidDataException($"SharpToken's resource '{Resource}' is not what it was");
            }

            tokens[id] = token[..length].ToArray();
            rest = rest[(space + 1 + digits)..].TrimStart("\r\n"u8);
        }

        return tokens;
    }
}
