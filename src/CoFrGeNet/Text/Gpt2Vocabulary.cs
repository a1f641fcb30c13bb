using System.Globalization;
using SharpToken;

namespace CoFrGeNet.Text;

/// <summary>The tokens of GPT-2 in the order of their ids, which is the order in which they were merged.</summary>
internal static class Gpt2Vocabulary
{
    /// <summary>The number of tokens that are not special: 256 bytes and 50,000 merges.</summary>
    public const int OrdinaryTokens = 50256;

    // Lines "base64 rank"; SharpToken's own encoder treats letters outside the basic plane as symbols, so only its data is used.
    private const string Resource = "SharpToken.data.r50k_base.tiktoken";

    /// <summary>Reads the tokens; the index is the id.</summary>
    public static byte[][] ReadTokens()
    {
        using var stream = typeof(GptEncoding).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"SharpToken holds no resource '{Resource}'");
        using var reader = new StreamReader(stream);
        var tokens = new byte[OrdinaryTokens][];
        while (reader.ReadLine() is { } line)
        {
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            if (space > 0)
            {
                var id = int.Parse(line.AsSpan(space + 1), NumberStyles.None, CultureInfo.InvariantCulture);
                tokens[id] = Convert.FromBase64String(line[..space]);
            }
        }

        return tokens;
    }
}
