using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>
/// Reads tiktoken's rank files, lines of a token in base64 and its rank. They hold neither the pattern nor the special tokens, so only vocabularies of known
/// size can be read.
/// </summary>
internal static class TiktokenReader
{
    /// <summary>Whether a file looks like one.</summary>
    public static bool IsRankFile(ReadOnlySpan<byte> content)
    {
        var line = content[..Math.Max(0, content.IndexOf((byte)'\n'))].TrimEnd((byte)'\r');
        var space = line.IndexOf((byte)' ');
        return space > 0 && Base64.IsValid(line[..space]) && Utf8Parser.TryParse(line[(space + 1)..], out int _, out var used) && used == line.Length - space - 1;
    }

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="content">The file's content.</param>
    /// <param name="source">The file, for messages.</param>
    /// <exception cref="UserErrorException">The file is damaged, or its vocabulary is not a known one.</exception>
    public static BytePairTokenizer Read(byte[] content, string source)
    {
        var tokens = Tokens(content, source);
        var (splitter, added) = Known(tokens.Length) ?? throw new UserErrorException(
            $"{source} has {tokens.Length} ranks; known are 50256 (r50k), 100256 (cl100k) and 128000 (Llama 3). Give the tokenizer.json of the same vocabulary instead");
        return new BytePairTokenizer(new BytePairVocabulary
        {
            Name = TokenizerFiles.TiktokenFile,
            Tokens = tokens,
            Merges = BytePairMerges.AllSplits(tokens),
            Splitters = [splitter],
            AddedTokens = [.. added],
            IgnoreMerges = true,
            File = content,
        });
    }

    private static (PieceSplitter Splitter, IEnumerable<AddedToken> Added)? Known(int ranks) => ranks switch
    {
        50256 => (Gpt2Splitter.Instance, Number(50256, SpecialTokens.EndOfText)),
        100256 => (new Llama3Splitter(3), Number(100257, SpecialTokens.EndOfText, "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>").Append(new AddedToken("<|endofprompt|>", 100276, true))),
        128000 => (new Llama3Splitter(3), Number(128000, Llama3Special())),
        _ => null,
    };

    private static IEnumerable<AddedToken> Number(int first, params string[] names) => names.Select((name, i) => new AddedToken(name, first + i, IsSpecial: true));

    private static string[] Llama3Special()
    {
        string[] named =
        [
            "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|reserved_special_token_2|>",
            "<|reserved_special_token_3|>", "<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>",
        ];
        return [.. named, .. Enumerable.Range(5, 256 - named.Length).Select(i => $"<|reserved_special_token_{i}|>")];
    }

    private static byte[][] Tokens(byte[] content, string source)
    {
        var lines = Encoding.UTF8.GetString(content).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var tokens = new byte[lines.Length][];
        for (var number = 0; number < lines.Length; number++)
        {
            var parts = lines[number].Split(' ');
            if (parts.Length != 2
                || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var rank)
                || rank >= tokens.Length
                || tokens[rank] is not null
                || !Base64.IsValid(parts[0]))
            {
                throw new UserErrorException($"{source}, line {number + 1} is '{lines[number]}'; a token in base64 and a rank of its own below {tokens.Length} are expected");
            }

            tokens[rank] = Convert.FromBase64String(parts[0]);
        }

        return tokens;
    }
}
