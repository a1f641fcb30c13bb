using System.Text.Json;
using CoFrGeNet.Text;

namespace CoFrGeNet.Generation;

/// <summary>
/// How a conversation becomes a prompt. Folders of other programs bring a template in the language Jinja, which is not run here: the forms below are recognised by their marks
/// and done without what a template adds to them (dates, tools). What people say never becomes a special token.
/// </summary>
/// <remarks>In the members <c>{role}</c>, <c>{Role}</c> (with a capital letter) and <c>{text}</c> stand for those of a turn.</remarks>
public sealed record ChatTemplate
{
    private const string JinjaFile = "chat_template.jinja";

    private ChatTemplate()
    {
    }

    /// <summary>"User: .." lines, for base models, which were never taught a form: the next line is the assistant's.</summary>
    public static ChatTemplate Plain { get; } = new()
    {
        Name = "plain",
        Turn = "{Role}: {text}\n",
        Opening = "Assistant:",
        Stop = ["\nUser:", "\nSystem:"],
    };

    /// <summary>The form of ChatML: <c>&lt;|im_start|&gt;role</c>, a new line, the text, <c>&lt;|im_end|&gt;</c>.</summary>
    public static ChatTemplate ChatMl { get; } = new()
    {
        Name = "chatml",
        Marks = ["<|im_start|>", "<|im_end|>"],
        Turn = "<|im_start|>{role}\n{text}<|im_end|>\n",
        Opening = "<|im_start|>assistant\n",
        EndMark = "<|im_end|>",
    };

    /// <summary>The form of Llama 3: headers with the role, each text ended by <c>&lt;|eot_id|&gt;</c>.</summary>
    public static ChatTemplate Llama3 { get; } = new()
    {
        Name = "llama3",
        Marks = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        Turn = "<|start_header_id|>{role}<|end_header_id|>\n\n{text}<|eot_id|>",
        Opening = "<|start_header_id|>assistant<|end_header_id|>\n\n",
        EndMark = "<|eot_id|>",
    };

    /// <summary>The templates by name.</summary>
    public static IReadOnlyList<ChatTemplate> All { get; } = [Plain, ChatMl, Llama3];

    /// <summary>What users call it.</summary>
    public required string Name { get; init; }

    /// <summary>The special tokens that it is recognised by.</summary>
    public IReadOnlyList<string> Marks { get; init; } = [];

    /// <summary>One turn.</summary>
    public required string Turn { get; init; }

    /// <summary>What comes before the answer.</summary>
    public required string Opening { get; init; }

    /// <summary>Texts that end the answer.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>The special token that ends the answer.</summary>
    public string? EndMark { get; init; }

    /// <summary>Whether white space at the start of an answer belongs to the template: with plain lines a model writes a space after "Assistant:".</summary>
    public bool TrimsAnswers => Marks.Count == 0;

    /// <summary>The form that a model folder's own template has, if its tokenizer knows the marks; <see cref="Plain"/> where there is none or another.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="tokenizer">The folder's tokenizer.</param>
    /// <exception cref="UserErrorException">A file cannot be read.</exception>
    public static ChatTemplate ForFolder(string folder, ITokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        var jinja = ReadJinja(folder);
        return jinja is null ? Plain : All.FirstOrDefault(template => template.Marks.Count > 0 && template.Marks.All(
            mark => jinja.Contains(mark, StringComparison.Ordinal) && tokenizer.SpecialTokenIds.ContainsKey(mark))) ?? Plain;
    }

    /// <summary>Tokens that end an answer, beside the end-of-text token.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    public IReadOnlyList<int> StopIds(ITokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return EndMark is not null && tokenizer.SpecialTokenIds.TryGetValue(EndMark, out var id) ? [id] : [];
    }

    /// <summary>The prompt of a conversation, for <see cref="PromptEncoder.Encode(IEnumerable{PromptPart})"/>.</summary>
    /// <param name="turns">What was said, the last one last.</param>
    public IEnumerable<PromptPart> Render(IEnumerable<ChatTurn> turns)
    {
        ArgumentNullException.ThrowIfNull(turns);
        return turns.SelectMany(Render).Append(new PromptPart(Opening, IsMarked: true));
    }

    private IEnumerable<PromptPart> Render(ChatTurn turn)
    {
        for (var rest = Turn; rest.Length > 0;)
        {
            var open = rest.IndexOf('{', StringComparison.Ordinal);
            var close = rest.IndexOf('}', StringComparison.Ordinal);
            if (open < 0)
            {
                yield return new PromptPart(rest, IsMarked: true);
                yield break;
            }

            yield return new PromptPart(rest[..open], IsMarked: true);
            yield return new PromptPart(rest[(open + 1)..close] switch
            {
                "role" => turn.Role,
                "Role" => turn.Role.Length == 0 ? turn.Role : char.ToUpperInvariant(turn.Role[0]) + turn.Role[1..],
                _ => turn.Text.Trim(),
            });
            rest = rest[(close + 1)..];
        }
    }

    /// <summary>Reads the template that a model folder brings, in its own language.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The template, or null where there is none.</returns>
    /// <exception cref="UserErrorException">A file cannot be read.</exception>
    public static string? ReadJinja(string folder)
    {
        var jinja = Path.Combine(folder, JinjaFile);
        var config = Path.Combine(folder, TokenizerFiles.FileName);
        try
        {
            if (File.Exists(jinja) || !File.Exists(config))
            {
                return File.Exists(jinja) ? File.ReadAllText(jinja) : null;
            }

            using var json = JsonDocument.Parse(File.ReadAllBytes(config));
            return json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("chat_template", out var template)
                && template.ValueKind == JsonValueKind.String ? template.GetString() : null;
        }
        catch (JsonException e)
        {
            throw new UserErrorException($"{config} is not valid JSON: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot read the chat template of {folder}: {e.Message}", e);
        }
    }
}
