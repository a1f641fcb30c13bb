using System.Text.Json;

namespace CoFrGeNet.Text;

/// <summary>
/// Reads byte-level BPE from Hugging Face's <c>tokenizer.json</c>. What it does not support is refused by name: a tokenizer that is read half is one that
/// gives other ids.
/// </summary>
internal sealed class HuggingFaceTokenizerReader
{
    private readonly string _source;

    private HuggingFaceTokenizerReader(string source) => _source = source;

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="content">The file's content.</param>
    /// <param name="source">The file, for messages.</param>
    /// <exception cref="UserErrorException">The file is damaged, or uses what is not supported.</exception>
    public static BytePairTokenizer Read(byte[] content, string source)
    {
        try
        {
            using var json = JsonDocument.Parse(content);
            return new BytePairTokenizer(new HuggingFaceTokenizerReader(source).Vocabulary(json.RootElement) with { File = content });
        }
        catch (JsonException e)
        {
            throw new UserErrorException($"{source} is not valid JSON: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new UserErrorException($"{source} is not a tokenizer.json of Hugging Face: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private BytePairVocabulary Vocabulary(JsonElement root)
    {
        var model = Member(root, "model") ?? throw new UserErrorException($"{_source} has no member 'model', so it is not a tokenizer.json of Hugging Face");
        CheckModel(model);
        if (Member(root, "normalizer") is { } normalizer && !IsEmptySequence(normalizer, "normalizers"))
        {
            throw Unsupported($"the normalizer {TypeOf(normalizer)}", "none");
        }

        var builder = new BytePairVocabularyBuilder(_source);
        foreach (var entry in model.GetProperty("vocab").EnumerateObject())
        {
            builder.AddToken(entry.Name, entry.Value.GetInt32());
        }

        var added = AddedTokens(root, builder);
        foreach (var merge in model.GetProperty("merges").EnumerateArray())
        {
            if (merge.ValueKind == JsonValueKind.Array)
            {
                builder.AddMerge(merge[0].GetString()!, merge[1].GetString()!);
            }
            else
            {
                builder.AddMerge(merge.GetString()!);
            }
        }

        var (splitters, prefixSpace) = Splitters(root);
        var unknown = Member(model, "unk_token") is { } name
            ? builder.Find(name.GetString()!) ?? throw new UserErrorException($"{_source}: model.unk_token is '{name.GetString()}', which the vocabulary lacks")
            : (int?)null;
        return new BytePairVocabulary
        {
            Tokens = builder.Tokens(),
            Merges = builder.Merges,
            Splitters = splitters,
            AddedTokens = added,
            IgnoreMerges = Member(model, "ignore_merges") is { ValueKind: JsonValueKind.True },
            AddPrefixSpace = prefixSpace,
            UnknownId = unknown,
            BeginOfTextId = Begin(root, added),
        };
    }

    private void CheckModel(JsonElement model)
    {
        var type = Member(model, "type")?.GetString() ?? "BPE";
        if (type != "BPE")
        {
            throw Unsupported($"the model {type}", "BPE");
        }

        foreach (var name in new[] { "byte_fallback", "fuse_unk" })
        {
            if (Member(model, name) is { ValueKind: JsonValueKind.True } && (name != "fuse_unk" || Member(model, "unk_token") is not null))
            {
                throw Unsupported($"model.{name}", "false");
            }
        }

        foreach (var name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
        {
            if (Member(model, name) is { ValueKind: JsonValueKind.String } affix && affix.GetString()!.Length > 0)
            {
                throw Unsupported($"model.{name}", "none");
            }
        }

        if (Member(model, "dropout") is { ValueKind: JsonValueKind.Number } dropout && dropout.GetDouble() != 0)
        {
            throw Unsupported("model.dropout", "none");
        }
    }

    private List<AddedToken> AddedTokens(JsonElement root, BytePairVocabularyBuilder builder)
    {
        var added = new List<AddedToken>();
        if (Member(root, "added_tokens") is not { } list)
        {
            return added;
        }

        foreach (var entry in list.EnumerateArray())
        {
            var token = new AddedToken(entry.GetProperty("content").GetString()!, entry.GetProperty("id").GetInt32(), Flag(entry, "special"));
            foreach (var name in new[] { "lstrip", "rstrip", "single_word" })
            {
                if (!token.IsSpecial && Flag(entry, name))
                {
                    throw Unsupported($"{name} of the added token '{token.Content}'", "false");
                }
            }

            if (token.Content.Length == 0)
            {
                throw new UserErrorException($"{_source}: the added token with the id {token.Id} is empty");
            }

            if (builder.Find(token.Content) is { } known)
            {
                if (known != token.Id)
                {
                    throw new UserErrorException($"{_source}: the added token '{token.Content}' has the id {token.Id}, and {known} in the vocabulary");
                }
            }
            else
            {
                builder.AddToken(token.Content, token.Id);
            }

            builder.SetPlain(token.Content);
            added.Add(token);
        }

        return added;
    }

    private (PieceSplitter[] Splitters, bool PrefixSpace) Splitters(JsonElement root)
    {
        var steps = Member(root, "pre_tokenizer") switch
        {
            null => [],
            { } single when TypeOf(single) == "Sequence" => single.GetProperty("pretokenizers").EnumerateArray().ToArray(),
            { } single => [single],
        };
        if (steps.Length == 0 || TypeOf(steps[^1]) != "ByteLevel")
        {
            throw Unsupported(steps.Length == 0 ? "no pre_tokenizer" : $"the pre_tokenizer {TypeOf(steps[^1])}", "ByteLevel, alone or last in a Sequence");
        }

        var splitters = new List<PieceSplitter>();
        foreach (var step in steps[..^1])
        {
            splitters.Add(TypeOf(step) switch
            {
                "Split" => Split(step),
                "Digits" => new DigitSplitter(Flag(step, "individual_digits")),
                var other => throw Unsupported($"the pre_tokenizer {other}", "Split, Digits and ByteLevel"),
            });
        }

        var prefixSpace = Flag(steps[^1], "add_prefix_space");
        if (prefixSpace && splitters.Count > 0)
        {
            throw Unsupported("add_prefix_space after another pre_tokenizer", "false");
        }

        // Absent means true there: older files do not name it.
        if (Member(steps[^1], "use_regex") is not { ValueKind: JsonValueKind.False })
        {
            splitters.Add(Gpt2Splitter.Instance);
        }

        return ([.. splitters], prefixSpace);
    }

    private PieceSplitter Split(JsonElement step)
    {
        var behavior = step.GetProperty("behavior").GetString();
        var inverted = Flag(step, "invert");
        // Removed and inverted keeps the matches, as Isolated does where the pattern leaves nothing out.
        if (!(behavior == "Isolated" || (behavior == "Removed" && inverted)))
        {
            throw Unsupported($"the pre_tokenizer Split with the behavior {behavior}", "Isolated");
        }

        var pattern = step.GetProperty("pattern");
        if (Member(pattern, "String") is { } text)
        {
            return new RegexSplitter(System.Text.RegularExpressions.Regex.Escape(text.GetString()!));
        }

        var regex = pattern.GetProperty("Regex").GetString()!;
        try
        {
            return SplitterOf(regex);
        }
        catch (ArgumentException e)
        {
            throw new UserErrorException($"{_source}: .NET does not understand the pattern {regex} of the pre_tokenizer Split: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private static PieceSplitter SplitterOf(string pattern) => pattern switch
    {
        Gpt2Splitter.Pattern => Gpt2Splitter.Instance,
        Llama3Splitter.Pattern => new Llama3Splitter(3),
        Llama3Splitter.SingleDigitPattern => new Llama3Splitter(1),
        _ => new RegexSplitter(pattern),
    };

    // The special tokens that TemplateProcessing puts before a single text.
    private static int? Begin(JsonElement root, List<AddedToken> added)
    {
        if (Member(root, "post_processor") is not { } processor)
        {
            return null;
        }

        var steps = TypeOf(processor) == "Sequence" ? processor.GetProperty("processors").EnumerateArray().ToArray() : [processor];
        foreach (var template in steps.Where(step => TypeOf(step) == "TemplateProcessing"))
        {
            if (template.GetProperty("single").EnumerateArray().FirstOrDefault() is { ValueKind: JsonValueKind.Object } first
                && Member(first, "SpecialToken") is { } special
                && special.GetProperty("id").GetString() is { } name
                && added.FirstOrDefault(token => token.Content == name) is { } token)
            {
                return token.Id;
            }
        }

        return null;
    }

    private static bool IsEmptySequence(JsonElement element, string list) =>
        TypeOf(element) == "Sequence" && Member(element, list) is { ValueKind: JsonValueKind.Array } entries && entries.GetArrayLength() == 0;

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static bool Flag(JsonElement element, string name) => Member(element, name) is { ValueKind: JsonValueKind.True };

    private static string TypeOf(JsonElement element) => Member(element, "type")?.GetString() ?? "without a type";

    private UserErrorException Unsupported(string what, string allowed) =>
        new($"{_source} uses {what}, which is not supported; allowed is {allowed} (only byte-level BPE can be read, not Unigram, WordPiece or SentencePiece)");
}
