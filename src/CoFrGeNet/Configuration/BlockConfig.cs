namespace CoFrGeNet.Configuration;

/// <summary>One residual block, x + mixer(norm(x)) then x + feedForward(norm(x)), or several equal ones in a row.</summary>
public sealed record BlockConfig
{
    /// <summary>How many equal layers this entry stands for; at least 1.</summary>
    public int Repeat { get; init; } = 1;

    /// <summary>What moves information between tokens.</summary>
    public required MixerConfig Mixer { get; init; }

    /// <summary>What works on each token alone.</summary>
    public required FeedForwardConfig FeedForward { get; init; }

    /// <summary>What of this block only the torch modules compute, neither the managed engine nor the Python code of exported folders; null: nothing.</summary>
    public string? TorchOnlyPart() => this switch
    {
        { FeedForward: CffnConfig { Gate: GateKind.Product } or GatedLinearConfig { Gate: GateKind.Product } } => "the product gate",
        { FeedForward: CffnConfig { Ladders.NormalizeOutputs: true } } => "normalized ladder outputs",
        { Mixer: CAttnMConfig { RelativePositions: true } } => "CAttnM with relative positions",
        _ => null,
    };
}
