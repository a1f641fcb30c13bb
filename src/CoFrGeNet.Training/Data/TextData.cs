using CoFrGeNet.Data;
using CoFrGeNet.Text;

namespace CoFrGeNet.Training;

/// <summary>Tokenized text for training and for validation.</summary>
/// <param name="Train">Training tokens, of all sources.</param>
/// <param name="Validation">Held-out tokens, of all sources.</param>
/// <param name="Tokenizer">What made them.</param>
/// <param name="Description">One line that says what the text is.</param>
public sealed record TextData(ITokenSequence Train, ITokenSequence Validation, ITokenizer Tokenizer, string Description)
{
    /// <summary>What <see cref="Train"/> is made of, with the weights of a mix; one entry for a single text.</summary>
    public IReadOnlyList<TextSource> Sources { get; init; } = [new TextSource(Description, Train, 1)];

    /// <summary>Names the training tokens and their mix, so that a resume notices another text.</summary>
    public string Fingerprint => Sources.Count == 1
        ? Train.Fingerprint
        : JoinedTokens.Join(Sources.Select(source => FormattableString.Invariant($"{source.Weight:R} {source.Tokens.Fingerprint}")));

    /// <summary>Reads, splits and tokenizes the text of a run, or maps what was prepared.</summary>
    /// <param name="config">Which text, and how it is cut.</param>
    /// <exception cref="UserErrorException">The text is missing, empty, damaged, not text, or made with another tokenizer.</exception>
    public static TextData Load(DataConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var loader = new TextLoader(config, Tokenizers.Get(config.Tokenizer));
        var texts = config.ResolveSources().Select(source => (Source: source, Text: loader.Load(source.Path))).ToArray();
        var heldOut = config.ValidationSource is { } path ? [loader.LoadHeldOut(path)] : texts.Select(text => text.Text.Validation).OfType<ITokenSequence>().ToArray();
        if (heldOut.Length == 0)
        {
            throw new UserErrorException(
                $"{string.Join(", ", texts.Select(text => text.Source.Path))} holds no validation part; give one with data.validationSource, or prepare the text with a larger --validation");
        }

        var validation = heldOut.Length == 1 ? heldOut[0] : new JoinedTokens(heldOut);
        if (texts is [var only])
        {
            return new TextData(only.Text.Train, validation, loader.Tokenizer, only.Text.Description);
        }

        var sum = texts.Sum(text => text.Source.Weight);
        var description = string.Join(", ", texts.Select(text => FormattableString.Invariant($"{text.Source.Weight / sum:P1} {text.Text.Description}")));
        return new TextData(new JoinedTokens([.. texts.Select(text => text.Text.Train)]), validation, loader.Tokenizer, description)
        {
            Sources = [.. texts.Select(text => new TextSource(text.Source.Path, text.Text.Train, text.Source.Weight))],
        };
    }
}
