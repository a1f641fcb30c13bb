namespace CoFrGeNet.Text;

/// <summary>The tokenizers by name.</summary>
public static class Tokenizers
{
    /// <summary>The names that <see cref="Get"/> accepts.</summary>
    public static IReadOnlyList<string> Names { get; } = [ByteTokenizer.TokenizerName, Gpt2Tokenizer.TokenizerName];

    /// <summary>Gives the tokenizer of a name; tokenizers are shared, so a second call costs nothing.</summary>
    /// <param name="name">"byte" or "gpt2".</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="UserErrorException">No tokenizer has this name.</exception>
    public static ITokenizer Get(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name switch
        {
            ByteTokenizer.TokenizerName => ByteTokenizer.Instance,
            Gpt2Tokenizer.TokenizerName => Gpt2Tokenizer.Instance,
            _ => throw new UserErrorException($"tokenizer '{name}' is not known; allowed: {string.Join(", ", Names)}"),
        };
    }
}
