namespace CoFrGeNet.Text;

/// <summary>Losses in the units that compare across tokenizers.</summary>
public static class TextMetrics
{
    /// <summary>Turns a mean loss per token into bits per byte of text, which does not depend on the tokenizer.</summary>
    /// <param name="lossPerToken">The mean loss in nats per token, over all predicted tokens, end-of-text tokens included.</param>
    /// <param name="tokens">The number of tokens predicted.</param>
    /// <param name="bytes">The bytes of the text in UTF-8, separators not counted; greater than 0.</param>
    /// <returns>Bits per byte: loss x tokens / bytes / ln 2.</returns>
    public static double BitsPerByte(double lossPerToken, long tokens, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        return lossPerToken * tokens / bytes / Math.Log(2);
    }
}
