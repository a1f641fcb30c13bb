using CoFrGeNet.Generation;

namespace CoFrGeNet.Tests.Generation;

/// <summary>A model whose logits are a function of the sequence so far.</summary>
internal sealed class ScriptedModel : ILanguageModel
{
    private readonly Func<IReadOnlyList<int>, float[]> _logits;

    public ScriptedModel(int vocabularySize, int contextLength, Func<IReadOnlyList<int>, float[]> logits)
    {
        VocabularySize = vocabularySize;
        ContextLength = contextLength;
        _logits = logits;
    }

    public int VocabularySize { get; }

    public int ContextLength { get; }

    public int LongestSession { get; private set; }

    /// <summary>Says given bytes after a prompt, each with certainty, then the end of text; 257 ids are the byte tokenizer's.</summary>
    public static ScriptedModel Saying(byte[] bytes, int promptTokens, int contextLength = 1000, int vocabularySize = 257) =>
        new(vocabularySize, contextLength, sequence =>
        {
            var said = sequence.Count - promptTokens;
            var logits = new float[vocabularySize];
            logits[said < bytes.Length ? bytes[said] : 256] = 100;
            return logits;
        });

    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, LogitsReader reader)
    {
        for (var i = 0; i < positions.Count; i++)
        {
            var sequence = sequences[positions[i].Sequence][..(positions[i].Index + 1)];
            reader(i, _logits(sequence.ToArray()));
        }
    }

    public IDecodingSession StartSession() => new Session(this);

    private sealed class Session : IDecodingSession
    {
        private readonly ScriptedModel _model;
        private readonly List<int> _tokens = [];
        private float[] _logits = [];

        public Session(ScriptedModel model) => _model = model;

        public int Length => _tokens.Count;

        public ReadOnlySpan<float> Logits => _logits;

        public ReadOnlySpan<float> Append(ReadOnlySpan<int> tokens)
        {
            _tokens.AddRange(tokens);
            Assert.True(_tokens.Count <= _model.ContextLength, "the generator went past the context");
            _model.LongestSession = Math.Max(_model.LongestSession, _tokens.Count);
            return _logits = _model._logits(_tokens);
        }

        public void Truncate(int length)
        {
            _tokens.RemoveRange(length, _tokens.Count - length);
            _logits = [];
        }

        public void Dispose()
        {
        }
    }
}
