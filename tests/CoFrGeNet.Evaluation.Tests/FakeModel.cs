using System.Text;
using CoFrGeNet.Generation;
using CoFrGeNet.Text;

namespace CoFrGeNet.Evaluation.Tests;

/// <summary>A model over bytes whose logits are a function of the tokens so far; it counts its calls.</summary>
internal sealed class FakeModel : ILanguageModel
{
    private readonly Action<int[], Span<float>> _logits;

    public FakeModel(int contextLength, Action<int[], Span<float>> logits)
    {
        ContextLength = contextLength;
        _logits = logits;
    }

    public int VocabularySize => ByteTokenizer.Instance.VocabularySize;

    public int ContextLength { get; }

    public int Calls { get; private set; }

    public List<int> BatchSizes { get; } = [];

    /// <summary>Finds every token equally likely.</summary>
    public static FakeModel Uniform(int contextLength = 1000) => new(contextLength, (_, logits) => logits.Clear());

    /// <summary>Is sure of texts that it knows by heart, and finds every token equally likely elsewhere.</summary>
    public static FakeModel Knowing(params string[] texts) => new(4000, (tokens, logits) =>
    {
        logits.Clear();
        byte[] soFar = [.. tokens.Where(token => token < 256).Select(token => (byte)token)];
        foreach (var known in texts.Select(Encoding.UTF8.GetBytes).Where(known => known.Length > soFar.Length && known.AsSpan().StartsWith(soFar)))
        {
            logits[known[soFar.Length]] = 50;
        }
    });

    /// <summary>Logits that look random and depend on every token so far.</summary>
    public static FakeModel Hashing(int contextLength = 1000) => new(contextLength, (tokens, logits) =>
    {
        var hash = 17u;
        foreach (var token in tokens)
        {
            hash = (hash * 31) + (uint)token;
        }

        for (var i = 0; i < logits.Length; i++)
        {
            logits[i] = ((hash ^ (uint)(i * 2654435761u)) * 2246822519u >> 8) / (float)(1 << 22);
        }
    });

    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, LogitsReader reader)
    {
        Calls++;
        BatchSizes.Add(sequences.Count);
        Assert.All(sequences, sequence => Assert.InRange(sequence.Length, 1, ContextLength));
        var logits = new float[VocabularySize];
        for (var i = 0; i < positions.Count; i++)
        {
            _logits(sequences[positions[i].Sequence][..(positions[i].Index + 1)].ToArray(), logits);
            reader(i, logits);
        }
    }

    public IDecodingSession StartSession() => throw new NotSupportedException("evaluation scores; it does not generate");
}
