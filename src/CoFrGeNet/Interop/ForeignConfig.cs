using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Interop;

/// <summary>
/// The config.json of another program. Every member must be asked for, be known not to matter, or be empty: a setting that is silently
/// dropped is a wrong model that runs.
/// </summary>
internal sealed class ForeignConfig
{
    // What training, generation and bookkeeping write down; none of it changes the logits.
    private static readonly HashSet<string> Bookkeeping = new(StringComparer.Ordinal)
    {
        "_name_or_path", "architectures", "auto_map", "model_type", "torch_dtype", "dtype", "transformers_version", "use_cache", "task_specific_params",
        "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "decoder_start_token_id", "is_decoder", "is_encoder_decoder",
        "id2label", "label2id", "problem_type", "finetuning_task", "return_dict", "output_attentions", "output_hidden_states", "use_return_dict",
        "gradient_checkpointing", "torchscript", "keys_to_ignore_at_inference", "prefix", "max_length", "tokenizer_class", "num_labels", "license", "tags",
        "n_ctx", "attn_pdrop", "embd_pdrop", "resid_pdrop", "attention_dropout", "dropout", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
        "summary_proj_to_labels", "summary_type", "summary_use_proj", "chunk_size_feed_forward", "_attn_implementation", "attn_implementation",
    };

    private readonly JsonObject _root;
    private readonly string _source;
    private readonly HashSet<string> _asked = new(StringComparer.Ordinal);

    /// <summary>Takes a parsed file.</summary>
    /// <param name="root">Its content.</param>
    /// <param name="source">Where it came from, for messages.</param>
    public ForeignConfig(JsonObject root, string source)
    {
        _root = root;
        _source = source;
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="UserErrorException">It cannot be read or is not a JSON object.</exception>
    public static ForeignConfig Read(string path)
    {
        try
        {
            return new ForeignConfig(StrictJson.Parse(File.ReadAllText(path), path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot read {path}: {e.Message}", e);
        }
    }

    /// <summary>Where it came from.</summary>
    public string Source => _source;

    /// <summary>Names that do not matter to this architecture beside those of every one.</summary>
    public void Skip(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            _asked.Add(name);
        }
    }

    /// <summary>A whole number from 1, required unless there is a default.</summary>
    public int Int(string name, int? otherwise = null) => Get<int?>(name, "a whole number from 1", otherwise, number => number >= 1)
        ?? throw new UserErrorException($"{_source} has no member '{name}', which the architecture needs.");

    /// <summary>A whole number from 1, or null where it is absent or null.</summary>
    public int? OptionalInt(string name) => Get<int?>(name, "a whole number from 1", null, number => number >= 1);

    /// <summary>A finite number, required unless there is a default.</summary>
    public double Number(string name, double? otherwise = null) => Get<double?>(name, "a finite number", otherwise, number => double.IsFinite(number!.Value))
        ?? throw new UserErrorException($"{_source} has no member '{name}', which the architecture needs.");

    /// <summary>True or false.</summary>
    public bool Flag(string name, bool otherwise) => Get<bool?>(name, "true or false", otherwise, _ => true)!.Value;

    /// <summary>A text, or null where it is absent or null.</summary>
    public string? Text(string name) => Get<string>(name, "a text", null, _ => true);

    /// <summary>An object, or null where it is absent or null.</summary>
    public ForeignConfig? Object(string name)
    {
        _asked.Add(name);
        return _root[name] switch
        {
            null => null,
            JsonObject inner => new ForeignConfig(inner, $"{_source}: {name}"),
            var other => throw Refuse(name, other, "an object"),
        };
    }

    /// <summary>Requires a truth value that our models have built in.</summary>
    public void RequireFlag(string name, bool value)
    {
        if (Flag(name, value) != value)
        {
            throw Refuse(name, _root[name]!, value ? "true" : "false");
        }
    }

    /// <summary>Requires one of a few texts.</summary>
    public string RequireText(string name, string otherwise, params string[] allowed)
    {
        var value = Text(name) ?? otherwise;
        return allowed.Contains(value, StringComparer.Ordinal) ? value : throw Refuse(name, _root[name]!, string.Join(" or ", allowed));
    }

    /// <summary>Refuses what was not asked for, is not bookkeeping and is not empty.</summary>
    /// <exception cref="UserErrorException">There is such a member.</exception>
    public void RefuseRest()
    {
        foreach (var (name, value) in _root)
        {
            if (!_asked.Contains(name) && !Bookkeeping.Contains(name) && !IsEmpty(value))
            {
                throw new UserErrorException(
                    $"{_source} has a member '{name}' = {Short(value)}, which is not known here, so the model may mean something else; remove it from a copy of the file if it does not change the logits.");
            }
        }
    }

    private static bool IsEmpty(JsonNode? value) => value switch
    {
        null => true,
        JsonArray list => list.Count == 0,
        JsonObject members => members.Count == 0,
        _ => value.ToJsonString() is "false" or "0" or "0.0" or "\"\"",
    };

    private T? Get<T>(string name, string allowed, T? otherwise, Func<T, bool> check)
    {
        _asked.Add(name);
        var node = _root[name];
        if (node is null)
        {
            return otherwise;
        }

        return node is JsonValue json && TryRead<T>(json, out var value) && check(value) ? value : throw Refuse(name, node, allowed);
    }

    private static bool TryRead<T>(JsonValue json, out T value)
    {
        value = default!;
        try
        {
            // A whole number may be written as 10000.0.
            if (typeof(T) == typeof(int?) && json.TryGetValue<double>(out var number) && number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue)
            {
                value = (T)(object)(int)number;
                return true;
            }

            if (typeof(T) == typeof(double?) && json.TryGetValue<double>(out var real))
            {
                value = (T)(object)real;
                return true;
            }

            if (typeof(T) == typeof(bool?) && json.TryGetValue<bool>(out var flag))
            {
                value = (T)(object)flag;
                return true;
            }

            return typeof(T) == typeof(string) && json.TryGetValue(out value!);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or JsonException)
        {
            return false;
        }
    }

    private UserErrorException Refuse(string name, JsonNode value, string allowed) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{_source}: {name} is {Short(value)}, which is not supported; allowed is {allowed}."));

    private static string Short(JsonNode? value)
    {
        var text = value?.ToJsonString() ?? "null";
        return text.Length > 60 ? text[..60] + "..." : text;
    }
}
