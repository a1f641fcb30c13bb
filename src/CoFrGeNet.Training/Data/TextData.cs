using System.Runtime.InteropServices;
using System.Security.Cryptography;
using CoFrGeNet.Text;

namespace CoFrGeNet.Training;

/// <summary>Tokenized text for training and for validation.</summary>
/// <param name="Train">Training tokens.</param>
/// <param name="Validation">Held-out tokens.</param>
/// <param name="Tokenizer">What made them.</param>
/// <param name="Description">One line that says what the text is.</param>
public sealed record TextData(TokenizedCorpus Train, TokenizedCorpus Validation, ITokenizer Tokenizer, string Description)
{
    private readonly Lazy<string> _fingerprint = new(() => Hash(Train));

    /// <summary>SHA-256 of the training tokens, in hexadecimal.</summary>
    public string Fingerprint => _fingerprint.Value;

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

    private static string Hash(TokenizedCorpus tokens)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new int[1 << 16];
        for (var start = 0; start < tokens.Count; start += buffer.Length)
        {
            var part = buffer.AsSpan(0, Math.Min(buffer.Length, tokens.Count - start));
            tokens.CopyTo(start, part);
            hash.AppendData(MemoryMarshal.AsBytes(part));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
