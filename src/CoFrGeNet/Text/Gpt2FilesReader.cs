using System.Text;
using System.Text.Json;

namespace CoFrGeNet.Text;

/// <summary>Reads GPT-2's form of a tokenizer: a vocabulary in JSON and a text file of merges beside it.</summary>
internal static class Gpt2FilesReader
{
    /// <summary>The names under which the two files go together.</summary>
    public static IReadOnlyList<(string Vocabulary, string Merges)> Names { get; } = [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")];

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="vocabulary">The vocabulary file's content.</param>
    /// <param name="merges">The merges file's content.</param>
    /// <param name="source">The files, for messages.</param>
    /// <exception cref="UserErrorException">A file is damaged or not byte-level BPE.</exception>
    public static BytePairTokenizer Read(byte[] vocabulary, byte[] merges, string source)
    {
        var builder = new BytePairVocabularyBuilder(source);
        var added = new List<AddedToken>();
        try
        {
            using var json = JsonDocument.Parse(vocabulary);
            foreach (var entry in json.RootElement.EnumerateObject())
            {
                builder.AddToken(entry.Name, entry.Value.GetInt32());
                if (entry.Name is SpecialTokens.EndOfText or "<unk>" or "<s>" or "</s>" or "<pad>" or "<mask>")
                {
                    builder.SetPlain(entry.Name);
                    added.Add(new AddedToken(entry.Name, entry.Value.GetInt32(), IsSpecial: true));
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new UserErrorException($"{source}: the vocabulary is not a JSON object of tokens and ids: {e.Message.ReplaceLineEndings(" ")}", e);
        }

        foreach (var line in Encoding.UTF8.GetString(merges).Split('\n').Select(line => line.TrimEnd('\r')))
        {
            if (line.Length > 0 && !line.StartsWith("#version", StringComparison.Ordinal))
            {
                builder.AddMerge(line);
            }
        }

        var complete = new BytePairVocabulary
        {
            Tokens = builder.Tokens(),
            Merges = builder.Merges,
            Splitters = [Gpt2Splitter.Instance],
            AddedTokens = added,
            UnknownId = builder.Find("<unk>"),
        };
        return new BytePairTokenizer(complete);
    }
}
