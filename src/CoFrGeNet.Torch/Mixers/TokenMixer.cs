using TorchSharp;

namespace CoFrGeNet.Torch;

/// <summary>
/// The first seam: a causal map of a sequence to a sequence. Output t depends on inputs up to t only, and a shorter sequence gives the
/// same outputs as the beginning of a longer one.
/// </summary>
public abstract class TokenMixer : torch.nn.Module<Tensor, Tensor>
{
    /// <summary>Creates the base.</summary>
    /// <param name="name">The type's name.</param>
    protected TokenMixer(string name)
        : base(name)
    {
    }

    /// <summary>Mixes a whole sequence.</summary>
    /// <param name="x">[B, T, p].</param>
    /// <returns>[B, T, p].</returns>
    public sealed override Tensor forward(Tensor x) => forward(x, null);

    /// <summary>Mixes the continuation of what a cache holds, and appends to the cache.</summary>
    /// <param name="x">[B, t, p], the tokens at positions <c>cache.Length ..</c></param>
    /// <param name="cache">What earlier tokens left behind; null: there are none.</param>
    /// <returns>[B, t, p].</returns>
    public abstract Tensor forward(Tensor x, MixerCache? cache);
}
