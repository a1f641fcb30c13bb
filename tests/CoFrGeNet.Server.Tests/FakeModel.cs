using System.Diagnostics;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server.Tests;

/// <summary>
/// A model without weights: its logits are a function of the last tokens of a sequence, so every continuation can be told beforehand. It checks how it is used: sessions
/// that are open, and passes that overlap.
/// </summary>
internal sealed class FakeModel : ILanguageModel
{
    private readonly Func<IReadOnlyList<int>, float[]> _logits;
    private int _inside;
    private int _sessions;

    public FakeModel(int contextLength, Func<IReadOnlyList<int>, float[]> logits)
    {
        ContextLength = contextLength;
        _logits = logits;
    }

    public int VocabularySize { get; init; } = 257;

    public int ContextLength { get; }

    /// <summary>How long a pass takes.</summary>
    public TimeSpan PassTime { get; set; }

    /// <summary>Thrown by the next passes.</summary>
    public Exception? Failure { get; set; }

    /// <summary>Sessions that hold tokens.</summary>
    public int OpenSequences => _sessions;

    /// <summary>Whether two passes ever overlapped.</summary>
    public bool Overlapped { get; private set; }

    /// <summary>Sequences of the largest pass so far.</summary>
    public int LargestPass { get; private set; }

    /// <summary>Passes so far.</summary>
    public int Passes { get; private set; }

    /// <summary>Repeats one text for ever, whatever the prompt, then the end of text after so many bytes.</summary>
    public static FakeModel Saying(string text, int promptTokens, int contextLength = 1000)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        return new FakeModel(contextLength, sequence =>
        {
            var said = Math.Max(0, sequence.Count - promptTokens);
            var logits = new float[257];
            logits[said < bytes.Length ? bytes[said] : 256] = 20;
            return logits;
        });
    }

    /// <summary>Logits that look random and depend on the last four tokens and the length; letters are likely, the end is not.</summary>
    public static FakeModel Babbling(int contextLength = 1000) => new(contextLength, sequence =>
    {
        var hash = (ulong)sequence.Count * 0x9E3779B97F4A7C15;
        for (var i = Math.Max(0, sequence.Count - 4); i < sequence.Count; i++)
        {
            hash = (hash ^ (ulong)sequence[i]) * 0xBF58476D1CE4E5B9;
            hash ^= hash >> 29;
        }

        var logits = new float[257];
        for (var id = 0; id < 257; id++)
        {
            hash = (hash ^ (hash >> 31)) * 0x94D049BB133111EB;
            logits[id] = ((hash >> 40) / (float)(1 << 24) * 4) - (id is >= 'a' and <= 'z' or ' ' ? 0 : 12);
        }

        return logits;
    });

    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, LogitsReader reader)
    {
        Enter();
        for (var i = 0; i < positions.Count; i++)
        {
            reader(i, _logits(sequences[positions[i].Sequence][..(positions[i].Index + 1)].ToArray()));
        }

        Leave();
    }

    public IDecodingSession StartSession() => new Session(this);

    public void Append(ReadOnlySpan<SessionTokens> steps)
    {
        Enter();
        LargestPass = Math.Max(LargestPass, steps.Length);
        foreach (var step in steps)
        {
            step.Session.Append(step.Tokens.Span);
        }

        Leave();
    }

    private void Enter()
    {
        Overlapped |= Interlocked.Increment(ref _inside) > 1;
        Passes++;
        if (Failure is { } failure)
        {
            Interlocked.Decrement(ref _inside);
            throw failure;
        }

        if (PassTime > TimeSpan.Zero)
        {
            Thread.Sleep(PassTime);
        }
    }

    private void Leave() => Interlocked.Decrement(ref _inside);

    private sealed class Session : IDecodingSession
    {
        private readonly FakeModel _model;
        private readonly List<int> _tokens = [];
        private float[] _logits = [];

        public Session(FakeModel model) => _model = model;

        public int Length => _tokens.Count;

        public ReadOnlySpan<float> Logits => _logits;

        public ReadOnlySpan<float> Append(ReadOnlySpan<int> tokens)
        {
            if (_tokens.Count + tokens.Length > _model.ContextLength)
            {
                throw new UnreachableException("the scheduler went past the context");
            }

            if (_tokens.Count == 0)
            {
                Interlocked.Increment(ref _model._sessions);
            }

            _tokens.AddRange(tokens);
            return _logits = _model._logits(_tokens);
        }

        public void Truncate(int length)
        {
            if (_tokens.Count > 0 && length == 0)
            {
                Interlocked.Decrement(ref _model._sessions);
            }

            _tokens.RemoveRange(length, _tokens.Count - length);
            _logits = [];
        }

        public void Dispose()
        {
            if (_tokens.Count > 0)
            {
                Interlocked.Decrement(ref _model._sessions);
                _tokens.Clear();
            }
        }
    }
}
