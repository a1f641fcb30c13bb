using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>What all softmax mixers share: heads, masks, and the fused scaled-dot-product attention.</summary>
/// <remarks>Letters: B batch, h heads, t new tokens, S all tokens so far, s width of scores, v width of values.</remarks>
internal static class CausalAttention
{
    /// <summary>[B, t, h v] -> [B, h, t, v].</summary>
    public static Tensor SplitHeads(Tensor x, long heads) => x.view([.. x.shape[..^1], heads, x.shape[^1] / heads]).transpose(1, 2);

    /// <summary>[B, h, t, v] -> [B, t, h v].</summary>
    public static Tensor MergeHeads(Tensor x) => x.transpose(1, 2).flatten(2);

    /// <summary>softmax(q k^T scale + causal mask) v.</summary>
    /// <param name="query">[B, h, t, s].</param>
    /// <param name="key">[B, h, S, s].</param>
    /// <param name="value">[B, h, S, v].</param>
    /// <param name="scale">Factor on the scores; null: 1 / sqrt(s).</param>
    /// <returns>[B, h, t, v].</returns>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, double? scale = null)
    {
        long t = query.shape[2], all = key.shape[2];
        // The fused kernel always divides by sqrt(s).
        var scaled = scale is { } factor ? query.Times(factor * Math.Sqrt(query.shape[3])) : query;
        if (t == all)
        {
            return nn.functional.scaled_dot_product_attention(scaled, key, value, is_casual: t > 1);
        }

        using var mask = t == 1 ? null : CausalMask(t, all, query.device);
        return nn.functional.scaled_dot_product_attention(scaled, key, value, mask);
    }

    /// <summary>Attention whose keys are learned for absolute positions: softmax(q P^T + causal mask) v. Only the values need a cache.</summary>
    /// <param name="query">[B, h, t, s], in the type of the values.</param>
    /// <param name="value">[B, h, t, v].</param>
    /// <param name="positions">P: [h, T, s].</param>
    /// <param name="cache">The values of earlier tokens, to which these are appended; null: there are none.</param>
    /// <returns>[B, h, t, v].</returns>
    public static Tensor AttendPositions(Tensor query, Tensor value, Tensor positions, MixerCache? cache)
    {
        if (cache is not null)
        {
            var count = value.shape[2];
            value = cache.Append(0, value, 2);
            cache.Advance(count);
        }

        var key = positions.narrow(1, 0, value.shape[2]).to(value.dtype).unsqueeze(0).expand(value.shape[0], -1, -1, -1);
        return Attend(query, key, value, scale: 1);
    }

    /// <summary>Attention whose keys are learned for distances: token i looks at token j with q_i . P_(i-j). Only the values need a cache.</summary>
    /// <param name="query">[B, h, t, s], in the type of the values.</param>
    /// <param name="value">[B, h, t, v].</param>
    /// <param name="distances">P: [h, T, s], distance 0 first.</param>
    /// <param name="cache">The values of earlier tokens, to which these are appended; null: there are none.</param>
    /// <returns>[B, h, t, v].</returns>
    public static Tensor AttendDistances(Tensor query, Tensor value, Tensor distances, MixerCache? cache)
    {
        long t = query.shape[2];
        if (cache is not null)
        {
            value = cache.Append(0, value, 2);
            cache.Advance(t);
        }

        var all = value.shape[2];
        var scores = query.to(ScalarType.Float32).matmul(distances.narrow(1, 0, all).transpose(1, 2));
        // The distance of new token i, at position S - t + i, to token j; those ahead of it are masked below.
        var position = HeldArithmetic.CountUp(all, ScalarType.Int64, query.device);
        var distance = (position.narrow(0, all - t, t).unsqueeze(1) - position).clamp_min_(HeldScalars.Zero);
        var chosen = scores.gather(3, distance.expand(scores.shape)).masked_fill(CausalMask(t, all, query.device).logical_not(), HeldScalars.NegativeInfinity);
        return chosen.softmax(-1).to(value.dtype).matmul(value);
    }

    /// <summary>True where new token i (at position S - t + i) may see token j.</summary>
    /// <returns>Boolean [t, S].</returns>
    public static Tensor CausalMask(long t, long all, Device device) =>
        ones([t, all], ScalarType.Bool, device).tril(all - t);
}
