using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CoFrGeNet.Inference;

/// <summary>Leads sequences through passes over a model until each has received its tokens.</summary>
internal sealed unsafe class PassRunner : IDisposable
{
    // Rows of a pass: enough for arithmetic to outweigh the reading of weights by far. Longer prompts take several passes, cut at multiples of it.
    private const int PassRows = 512;

    private readonly Transformer _transformer;
    private readonly Pass _pass;
    private TokenSequence[] _inPass = [];

    /// <summary>Creates the runner of a model.</summary>
    /// <param name="transformer">The model.</param>
    /// <param name="kernels">The kernels.</param>
    /// <param name="threads">Most threads of a pass.</param>
    public PassRunner(Transformer transformer, EngineKernels kernels, int threads) => (_transformer, _pass) = (transformer, new Pass(kernels, threads));

    /// <summary>Whether the model is gone.</summary>
    public bool IsDisposed { get; private set; }

    /// <summary>Runs passes until all sequences have received the tokens that they were prepared with.</summary>
    /// <param name="sequences">The sequences, each once.</param>
    /// <param name="probe">Looks at ladders; null: nobody does.</param>
    /// <exception cref="ObjectDisposedException">The model is gone.</exception>
    public void Run(ReadOnlySpan<TokenSequence> sequences, LadderProbe? probe = null)
    {
        while (true)
        {
            // Let go between passes, so that a long prompt does not hold up everyone else.
            lock (Team.Shared.Gate)
            {
                ObjectDisposedException.ThrowIf(IsDisposed, typeof(InferenceModel));
                _pass.Clear();
                _pass.Probe = probe;
                Fill(sequences, isBlock: false);
                Fill(sequences, isBlock: true);
                if (_pass.Rows == 0)
                {
                    return;
                }

                var residual = _transformer.Run(_pass);
                GiveHidden(residual);
                GiveLogits(residual);
                for (var i = 0; i < _pass.SegmentCount; i++)
                {
                    _inPass[i].Advance(_pass.Segments[i].Count);
                }
            }
        }
    }

    /// <summary>The logits of rows behind the final norm.</summary>
    /// <inheritdoc cref="Transformer.Head"/>
    public void Head(float* hidden, int rows, bool isBlock, float* logits, nint stride)
    {
        lock (Team.Shared.Gate)
        {
            ObjectDisposedException.ThrowIf(IsDisposed, typeof(InferenceModel));
            _pass.Clear();
            _transformer.Head(_pass, hidden, rows, isBlock, logits, stride);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        IsDisposed = true;
        _pass.Dispose();
    }

    // As many sequences as fit; what one brings does not depend on the others.
    private void Fill(ReadOnlySpan<TokenSequence> sequences, bool isBlock)
    {
        foreach (var sequence in sequences)
        {
            var tokens = sequence.Pending;
            tokens = tokens[..Math.Min(tokens.Length, PassRows)];
            if (tokens.Length == 0 || sequence.IsBlock != isBlock || (_pass.Rows > 0 && _pass.Rows + tokens.Length > PassRows))
            {
                continue;
            }

            if (_pass.SegmentCount == _inPass.Length)
            {
                Array.Resize(ref _inPass, Math.Max(8, 2 * _inPass.Length));
            }

            _inPass[_pass.SegmentCount] = sequence;
            _pass.Add(sequence.Cache, sequence.Cache.Length, tokens, isBlock);
        }
    }

    private void GiveHidden(float* residual)
    {
        for (var i = 0; i < _pass.SegmentCount; i++)
        {
            var segment = _pass.Segments[i];
            foreach (var (position, target) in _inPass[i].Wanted)
            {
                if (position >= segment.Position && position < segment.Position + segment.Count)
                {
                    Finish(residual, segment.Row + position - segment.Position, (float*)target);
                }
            }
        }
    }

    private void GiveLogits(float* residual)
    {
        var count = 0;
        for (var i = 0; i < _pass.SegmentCount; i++)
        {
            count += IsWanted(i) ? 1 : 0;
        }

        if (count == 0)
        {
            return;
        }

        var hidden = _pass.Arena.Take((long)count * _transformer.Stride);
        var stride = EngineKernels.Padded(_transformer.VocabularySize);
        var logits = count == 1 ? null : _pass.Arena.Take((long)count * stride);
        var row = 0;
        for (var i = 0; i < _pass.SegmentCount; i++)
        {
            if (IsWanted(i))
            {
                Finish(residual, _pass.Segments[i].Row + _pass.Segments[i].Count - 1, hidden + ((nint)row++ * _transformer.Stride));
                logits = logits == null ? Pointer(_inPass[i]) : logits;
            }
        }

        _transformer.Head(_pass, hidden, count, isBlock: false, logits, stride);
        row = 0;
        for (var i = 0; i < _pass.SegmentCount && count > 1; i++)
        {
            if (IsWanted(i))
            {
                new ReadOnlySpan<float>(logits + ((nint)row++ * stride), _transformer.VocabularySize).CopyTo(_inPass[i].Logits);
            }
        }
    }

    private static float* Pointer(TokenSequence sequence) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(sequence.Logits!));

    // Whether a segment ends a sequence whose logits are wanted.
    private bool IsWanted(int segment) => _inPass[segment].Logits is not null && _inPass[segment].Pending.Length == _pass.Segments[segment].Count;

    private void Finish(float* residual, int row, float* hidden) => _transformer.Finish(_pass.Kernels, residual + ((nint)row * _transformer.Stride), hidden);
}
