using System.Runtime.InteropServices;
using CoFrGeNet.Generation;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>A <see cref="LanguageModel"/> as generation and evaluation see it. It puts the model into evaluation mode and does not own it.</summary>
/// <remarks>Letters: B sequences, T tokens of the longest, V vocabulary.</remarks>
public sealed class TorchLanguageModel : ILanguageModel
{
    // 64 MiB of logits at once, however many positions are asked for.
    private const int LogitsAPass = 1 << 24;

    private readonly LanguageModel _model;

    /// <summary>Wraps a model.</summary>
    /// <param name="model">The model.</param>
    public TorchLanguageModel(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        _model = model;
        model.eval();
    }

    /// <inheritdoc/>
    public int VocabularySize => _model.Config.VocabularySize;

    /// <inheritdoc/>
    public int ContextLength => _model.Config.ContextLength;

    /// <inheritdoc/>
    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, LogitsReader reader)
    {
        ArgumentNullException.ThrowIfNull(sequences);
        ArgumentNullException.ThrowIfNull(positions);
        ArgumentNullException.ThrowIfNull(reader);
        if (positions.Count == 0)
        {
            return;
        }

        var longest = sequences.Max(sequence => sequence.Length);
        var rows = positions.Select(position => ((long)position.Sequence * longest) + Checked(position, sequences)).ToArray();
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        var hidden = _model.Hidden(Pad(sequences, longest)).flatten(0, 1);
        var size = Math.Max(1, LogitsAPass / VocabularySize);
        for (var first = 0; first < rows.Length; first += size)
        {
            using var pass = NewDisposeScope();
            var part = rows[first..Math.Min(rows.Length, first + size)];
            var chosen = hidden.index_select(0, tensor(part, device: _model.Device));
            var logits = MemoryMarshal.Cast<byte, float>(_model.Logits(chosen).cpu().contiguous().bytes);
            for (var i = 0; i < part.Length; i++)
            {
                reader(first + i, logits.Slice(i * VocabularySize, VocabularySize));
            }
        }
    }

    /// <inheritdoc/>
    public IDecodingSession StartSession() => new TorchDecodingSession(_model);

    // Padding on the right changes nothing on its left: every mixer is causal.
    private Tensor Pad(IReadOnlyList<ReadOnlyMemory<int>> sequences, int longest)
    {
        var ids = new long[sequences.Count * longest];
        for (var i = 0; i < sequences.Count; i++)
        {
            var row = ids.AsSpan(i * longest);
            var sequence = sequences[i].Span;
            for (var j = 0; j < sequence.Length; j++)
            {
                row[j] = sequence[j];
            }
        }

        return tensor(ids, [sequences.Count, longest], device: _model.Device);
    }

    private static int Checked(TokenPosition position, IReadOnlyList<ReadOnlyMemory<int>> sequences) =>
        position.Index >= 0 && position.Index < sequences[position.Sequence].Length
            ? position.Index
            : throw new ArgumentOutOfRangeException(nameof(position), position, "no such token in the sequence");
}
