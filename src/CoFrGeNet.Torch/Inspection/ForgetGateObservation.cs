using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>What the forget gates of one mixer do on a text. It listens to the mixer until it is disposed of.</summary>
public sealed class ForgetGateObservation : IDisposable
{
    private readonly CAttnU _mixer;

    // f of every token, [B t, 2 h]: a few numbers a token, so that all are kept.
    private readonly List<Tensor> _kept = [];

    // Of each gate, summed over tokens: what is left of all tokens until this one.
    private double[] _left = [];

    private ForgetGateObservation(string name, CAttnU mixer)
    {
        Name = name;
        _mixer = mixer;
        mixer.GateObserver = Observe;
    }

    /// <summary>The mixer's module name.</summary>
    public string Name { get; }

    /// <summary>The mixers of a model that have forget gates, each with an observation of its own; dispose of them.</summary>
    /// <param name="model">The model.</param>
    public static IReadOnlyList<ForgetGateObservation> Of(LanguageModel model) =>
        [.. model.named_modules().Where(entry => entry.module is CAttnU { HasForgetGates: true }).Select(entry => new ForgetGateObservation(entry.name, (CAttnU)entry.module))];

    /// <summary>Sums up what was seen, gate by gate: the heads of the first ensemble, then those of the second.</summary>
    /// <exception cref="InvalidOperationException">Nothing was.</exception>
    public IReadOnlyList<ForgetGateReport> Report()
    {
        using var scope = NewDisposeScope();
        var kept = _kept.Count > 0 ? cat(_kept, 0) : throw new InvalidOperationException($"No forward of {Name} was observed.");
        var heads = (int)kept.shape[1] / 2;
        return
        [
            .. Enumerable.Range(0, 2 * heads).Select(gate =>
            {
                var own = kept.select(1, gate);
                return new ForgetGateReport(gate / heads, gate % heads, Quantiles.Of(own), own.IsBelow(0.5).to(ScalarType.Float64).mean().item<double>(), _left[gate] / own.shape[0]);
            }),
        ];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _mixer.GateObserver = null;
        foreach (var tensor in _kept)
        {
            tensor.Dispose();
        }

        _kept.Clear();
    }

    // kept: ln f, [B, t, 2 h].
    private void Observe(Tensor kept)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var f = kept.detach().to(ScalarType.Float64).exp().cpu().contiguous();
        var (tokens, gates) = ((int)f.shape[1], (int)f.shape[2]);
        Array.Resize(ref _left, gates);
        var values = f.data<double>().ToArray();
        for (var gate = 0; gate < gates; gate++)
        {
            var left = 0.0;
            for (var i = 0; i < values.Length / gates; i++)
            {
                // A token is there as a whole, and f of what was left of those before it in its sequence.
                left = 1 + (i % tokens == 0 ? 0 : values[(i * gates) + gate] * left);
                _left[gate] += left;
            }
        }

        _kept.Add(f.flatten(0, -2).DetachFromDisposeScope());
    }
}

/// <summary>What one forget gate did on a text.</summary>
/// <param name="Ensemble">Of the first ensemble (0) or the second (1).</param>
/// <param name="Head">Its head.</param>
/// <param name="Kept">Quantiles over tokens of f, the share of what stands before a token that is left behind it.</param>
/// <param name="ForgettingShare">Share of tokens at which more than half is forgotten, f below 1/2.</param>
/// <param name="Memory">How many tokens are left at a token, itself included: the mean over tokens i of the sum over j up to i of f_(j+1) .. f_i. Without forgetting half of the window.</param>
public sealed record ForgetGateReport(int Ensemble, int Head, Quantiles Kept, double ForgettingShare, double Memory);
