using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// Causal softmax attention with grouped queries and rotary embedding as options; with a <see cref="SparseAttentionConfig"/> each token
/// sees only a local window and every stride-th token.
/// </summary>
/// <remarks>Letters: B batch, t new tokens, h query heads, g key-value heads, s head width.</remarks>
public sealed class Attention : TokenMixer
{
    private readonly AttentionConfig _config;
    private readonly int _groups;
    private readonly int _headSize;
    private readonly Rotary? _rotary;

    // Queries, keys and values in one product: [h s | g s | g s].
    [ComponentName(Name = "qkv")]
    private readonly Linear _qkv;

    [ComponentName(Name = "output")]
    private readonly Linear _output;

    /// <summary>Creates the mixer.</summary>
    /// <param name="width">Model width p.</param>
    /// <param name="config">Heads, groups, rotary embedding, sparsity.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public Attention(int width, AttentionConfig config, ModuleOptions? options = null)
        : base(nameof(Attention))
    {
        config.Validate(width, 1);
        options ??= ModuleOptions.Default;
        _config = config;
        _groups = config.KeyValueHeads ?? config.Heads;
        _headSize = config.ResolveHeadSize(width);
        _rotary = config.Rotary is null ? null : new Rotary(_headSize, config.Rotary);
        _qkv = new Linear(width, (config.Heads + (2 * _groups)) * _headSize, config.Bias, options.InitialStd, options);
        _output = new Linear(config.Heads * _headSize, width, config.Bias, options.ResidualStd, options);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, MixerCache? cache)
    {
        using var scope = NewDisposeScope();
        var offset = cache?.Length ?? 0;
        long queryWidth = _config.Heads * _headSize, keyWidth = _groups * _headSize;
        var packed = _qkv.forward(x);
        if (cache is null && IsPlain && PackedAttention.CanRun(packed))
        {
            return _output.forward(PackedAttention.Apply(packed, _config.Heads)).MoveToOuterDisposeScope();
        }

        var parts = packed.split([queryWidth, keyWidth, keyWidth], -1);
        var query = CausalAttention.SplitHeads(parts[0], _config.Heads);
        var key = CausalAttention.SplitHeads(parts[1], _groups);
        var value = CausalAttention.SplitHeads(parts[2], _groups);
        if (_rotary is not null)
        {
            query = _rotary.Apply(query, offset);
            key = _rotary.Apply(key, offset);
        }

        if (cache is not null)
        {
            key = cache.Append(0, key, 2);
            value = cache.Append(1, value, 2);
            cache.Advance(x.shape[1]);
        }

        var mixed = Attend(query, RepeatGroups(key), RepeatGroups(value));
        return _output.forward(CausalAttention.MergeHeads(mixed)).MoveToOuterDisposeScope();
    }

    // One head of keys and values for each of queries, none of them turned, every earlier token seen.
    private bool IsPlain => _rotary is null && _groups == _config.Heads && _config is not SparseAttentionConfig;

    private Tensor Attend(Tensor query, Tensor key, Tensor value)
    {
        if (_config is not SparseAttentionConfig sparse)
        {
            return CausalAttention.Attend(query, key, value);
        }

        long t = query.shape[2], all = key.shape[2];
        using var window = sparse.Window.ToScalar();
        var j = HeldArithmetic.CountUp(all, ScalarType.Int64, query.device);
        var distance = j.narrow(0, all - t, t).unsqueeze(1) - j;
        var near = distance.lt(window);
        var strided = j.add(HeldScalars.One).Modulo(sparse.Stride).eq(HeldScalars.Zero);
        var mask = distance.ge(HeldScalars.Zero).logical_and(near.logical_or(strided));
        return nn.functional.scaled_dot_product_attention(query, key, value, mask);
    }

    // [B, g, S, s] -> [B, h, S, s]: each group serves h / g query heads.
    private Tensor RepeatGroups(Tensor x) =>
        _groups == _config.Heads ? x : x.unsqueeze(2).expand(-1, -1, _config.Heads / _groups, -1, -1).flatten(1, 2);
}
