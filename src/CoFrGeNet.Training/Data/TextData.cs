using CoFrGeNet.Text;

namespace CoFrGeNet.Training;

/// <summary>Tokenized text for training and for validation.</summary>
/// <param name="Train">Training tokens.</param>
/// <param name="Validation">Held-out tokens.</param>
/// <param name="Tokenizer">What made them.</param>
/// <param name="Description">One line that says what the text is.</param>
public sealed record TextData(TokenizedCorpus Train, TokenizedCorpus Validation, ITokenizer Tokenizer, string Description)
{
    /// <summary>Reads, splits and tokenizes the text of a run.</summary>
    /// <param name="config">Which text, and how it is cut.</param>
    /// <exception cref="UserErrorException">The text is missing, empty or not text.</exception>
    public static TextData Load(DataConfig config)
    {
        var tokenizer = Tokenizers.Get(config.Tokenizer);
        var corpus = Corpus(config.Source);
        if (config.ValidationSource is { } heldOut)
        {
            return new TextData(
                TokenizedCorpus.Create([.. corpus.ReadDocuments()], tokenizer),
                TokenizedCorpus.Create([.. Corpus(heldOut).ReadDocuments()], tokenizer),
                tokenizer,
                corpus.Description);
        }

        var split = DocumentSplit.Create(corpus.ReadDocuments(), config.ValidationFraction, (ulong)config.SplitSeed);
        return new TextData(
            TokenizedCorpus.Create(split.Training, tokenizer), TokenizedCorpus.Create(split.Validation, tokenizer), tokenizer, corpus.Description);
    }

    private static ICorpus Corpus(string source) =>
        source == DataConfig.SdkDocumentation ? new SdkDocumentationCorpus() : new TextFilesCorpus(source);
}
