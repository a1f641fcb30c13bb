using System.Runtime.InteropServices;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Inference;

/// <summary>One call of <see cref="ILanguageModel.Forward(IReadOnlyList{ReadOnlyMemory{int}}, IReadOnlyList{TokenPosition}, LogitsReader)"/>: hidden values of the wanted positions first, since logits take much more memory, then logits in the order asked for.</summary>
internal sealed unsafe class Scoring : IDisposable
{
    private const int SequenceTokens = 512;
    private const int HeadRows = 64;

    private readonly PassRunner _runner;
    private readonly int _stride;
    private readonly int _vocabulary;
    private readonly IReadOnlyList<ReadOnlyMemory<int>> _sequences;
    private readonly IReadOnlyList<TokenPosition> _positions;
    private readonly float* _hidden;
    private readonly (int Position, nint Target)[][] _wanted;

    /// <summary>Checks the positions and makes room for their hidden values.</summary>
    public Scoring(PassRunner runner, Transformer transformer, IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions)
    {
        (_runner, _stride, _vocabulary, _sequences, _positions) = (runner, transformer.Stride, transformer.VocabularySize, sequences, positions);
        foreach (var position in positions)
        {
            if (position.Sequence < 0 || position.Sequence >= sequences.Count || position.Index < 0 || position.Index >= sequences[position.Sequence].Length)
            {
                throw new ArgumentOutOfRangeException(nameof(positions), position, "no such token in the sequences");
            }
        }

        _hidden = (float*)NativeMemory.AlignedAlloc((nuint)Math.Max(64, (long)positions.Count * _stride * sizeof(float)), 64);
        var targets = Enumerable.Range(0, positions.Count).ToLookup(i => positions[i].Sequence, i => (positions[i].Index, (nint)(_hidden + ((nint)i * _stride))));
        _wanted = [.. Enumerable.Range(0, sequences.Count).Select(i => targets[i].OrderBy(entry => entry.Index).ToArray())];
    }

    /// <summary>Runs the sequences, a pass's worth at a time. Those of which nothing is wanted are left out.</summary>
    /// <param name="pool">Where caches come from.</param>
    public void Run(CachePool pool)
    {
        for (var first = 0; first < _sequences.Count;)
        {
            var group = new List<TokenSequence>();
            try
            {
                for (var tokens = 0; first < _sequences.Count && (tokens == 0 || tokens + _sequences[first].Length <= SequenceTokens); first++)
                {
                    if (_wanted[first].Length > 0)
                    {
                        var sequence = new TokenSequence(pool) { Wanted = _wanted[first], AlwaysBlock = true };
                        group.Add(sequence);
                        sequence.Prepare(_sequences[first].Span);
                        tokens += _sequences[first].Length;
                    }
                }

                _runner.Run(CollectionsMarshal.AsSpan(group));
            }
            finally
            {
                group.ForEach(sequence => sequence.Dispose());
            }
        }
    }

    /// <summary>Gives the logits.</summary>
    /// <param name="reader">Receives them.</param>
    public void Deliver(LogitsReader reader)
    {
        var logits = (float*)NativeMemory.AlignedAlloc((nuint)((long)Math.Min(HeadRows, Math.Max(1, _positions.Count)) * _vocabulary * sizeof(float)), 64);
        try
        {
            for (int first = 0, end; first < _positions.Count; first = end)
            {
                for (end = first + 1; end < _positions.Count && end - first < HeadRows; end++)
                {
                }

                _runner.Head(_hidden + ((nint)first * _stride), end - first, isBlock: true, logits, _vocabulary);
                for (var i = first; i < end; i++)
                {
                    reader(i, new ReadOnlySpan<float>(logits + ((nint)(i - first) * _vocabulary), _vocabulary));
                }
            }
        }
        finally
        {
            NativeMemory.AlignedFree(logits);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.AlignedFree(_hidden);
}
