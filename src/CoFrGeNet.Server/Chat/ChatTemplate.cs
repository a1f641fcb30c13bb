using System.Text.Json;
using CoFrGeNet.Client;
using CoFrGeNet.Text;

namespace CoFrGeNet.Server;

/// <summary>
/// How a conversation becomes a prompt. Folders bring programs in the template language Jinja; those of ChatML and Llama 3 are recognised by their marks and done here, all else gets the
/// plain template. What people say never becomes a special token.
/// </summary>
internal sealed class ChatTemplate
{
    private const string ChatMlStart = "<|im_start|>";
    private const string ChatMlEnd = "<|im_end|>";
    private const string Llama3Start = "<|start_header_id|>";
    private const string Llama3End = "<|eot_id|>";

    private static readonly ChatTemplate Plain = new() { After = "\n", Stops = ["\nUser:", "\nSystem:"], IsPlain = true };

    private static readonly ChatTemplate ChatMl = new() { Open = ChatMlStart, Before = role => role + "\n", Close = ChatMlEnd, After = "\n" };

    private static readonly ChatTemplate Llama3 = new() { Open = Llama3Start, Before = role => role, Inner = "<|end_header_id|>", InnerAfter = "\n\n", Close = Llama3End };

    /// <summary>Texts that end an answer.</summary>
    public IReadOnlyList<string> Stops { get; private init; } = [];

    /// <summary>Whether space at the start of an answer belongs to the template and not to the answer.</summary>
    public bool IsPlain { get; private init; }

    private string? Open { get; init; }

    private Func<string, string> Before { get; init; } = Titled;

    private string? Inner { get; init; }

    private string InnerAfter { get; init; } = string.Empty;

    private string? Close { get; init; }

    private string After { get; init; } = string.Empty;

    /// <summary>The template of a model.</summary>
    /// <param name="model">The model; its folder's template decides, if its tokenizer knows the marks.</param>
    public static ChatTemplate Of(ServedModel model)
    {
        bool Has(string mark) => model.ChatTemplate?.Contains(mark, StringComparison.Ordinal) == true && model.Tokenizer.SpecialTokenIds.ContainsKey(mark);
        return Has(ChatMlStart) ? ChatMl : Has(Llama3Start) ? Llama3 : Plain;
    }

    /// <summary>Reads the template of a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The template, or null.</returns>
    public static string? Read(string folder)
    {
        var jinja = Path.Combine(folder, "chat_template.jinja");
        if (File.Exists(jinja))
        {
            return File.ReadAllText(jinja);
        }

        var path = Path.Combine(folder, TokenizerFiles.FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        using var json = JsonDocument.Parse(File.ReadAllBytes(path));
        return json.RootElement.TryGetProperty("chat_template", out var template) && template.ValueKind == JsonValueKind.String ? template.GetString() : null;
    }

    /// <summary>Tokens that end an answer.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    public IReadOnlyList<int> StopIds(ITokenizer tokenizer) => Close is not null && tokenizer.SpecialTokenIds.TryGetValue(Close, out var id) ? [id] : [];

    /// <summary>Makes the prompt.</summary>
    /// <param name="messages">The conversation; every message has a role and a content.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    public int[] Encode(IReadOnlyList<ChatMessage> messages, ITokenizer tokenizer)
    {
        var ids = new List<int>();
        var text = new System.Text.StringBuilder();
        void Mark(string? mark)
        {
            if (mark is not null && tokenizer.SpecialTokenIds.TryGetValue(mark, out var id))
            {
                Flush();
                ids.Add(id);
            }
        }

        void Flush()
        {
            ids.AddRange(tokenizer.Encode(text.ToString()));
            text.Clear();
        }

        void Head(string role)
        {
            Mark(Open);
            text.Append(Before(role));
            Mark(Inner);
            text.Append(InnerAfter);
        }

        if (tokenizer.BeginOfTextId is { } begin)
        {
            ids.Add(begin);
        }

        foreach (var message in messages)
        {
            Head(message.Role!);
            text.Append(IsPlain ? " " : string.Empty).Append(message.Content!.Trim());
            Mark(Close);
            text.Append(After);
        }

        Head("assistant");
        Flush();
        return [.. ids];
    }

    private static string Titled(string role) => role.Length == 0 ? role : char.ToUpperInvariant(role[0]) + role[1..] + ":";
}
