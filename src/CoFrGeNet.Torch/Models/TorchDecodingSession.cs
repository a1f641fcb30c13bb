using System.Runtime.InteropServices;
using CoFrGeNet.Generation;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>Decodes one sequence with a cache a layer.</summary>
internal sealed class TorchDecodingSession : IDecodingSession
{
    private readonly LanguageModel _model;
    private readonly MixerCache[] _caches;
    private readonly float[] _logits;
    private bool _hasLogits;

    /// <summary>Starts empty.</summary>
    public TorchDecodingSession(LanguageModel model)
    {
        _model = model;
        _caches = [.. Enumerable.Range(0, model.Config.LayerCount).Select(_ => new MixerCache(model.Config.ContextLength))];
        _logits = new float[model.Config.VocabularySize];
    }

    /// <inheritdoc/>
    public int Length => (int)_caches[0].Length;

    /// <inheritdoc/>
    public ReadOnlySpan<float> Logits => _hasLogits ? _logits : [];

    /// <inheritdoc/>
    public ReadOnlySpan<float> Append(ReadOnlySpan<int> tokens)
    {
        if (tokens.IsEmpty)
        {
            throw new ArgumentException("at least one token is needed", nameof(tokens));
        }

        var ids = new long[tokens.Length];
        for (var i = 0; i < ids.Length; i++)
        {
            ids[i] = tokens[i];
        }

        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        var hidden = _model.Hidden(tensor(ids, [1, ids.Length], device: _model.Device), _caches);
        MemoryMarshal.Cast<byte, float>(_model.Logits(hidden.narrow(1, ids.Length - 1, 1)).cpu().contiguous().bytes).CopyTo(_logits);
        _hasLogits = true;
        return _logits;
    }

    /// <inheritdoc/>
    public void Truncate(int length)
    {
        foreach (var cache in _caches)
        {
            cache.Truncate(length);
        }

        _hasLogits = false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var cache in _caches)
        {
            cache.Dispose();
        }
    }
}
