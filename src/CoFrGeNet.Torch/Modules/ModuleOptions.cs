using TorchSharp;

namespace CoFrGeNet.Torch;

/// <summary>How a module's parameters are made: where they live and how they are drawn.</summary>
public sealed record ModuleOptions
{
    /// <summary>The defaults: CPU, GPT-2's standard deviations.</summary>
    public static ModuleOptions Default { get; } = new();

    /// <summary>Where parameters live; absent: the CPU. The meta device gives shapes without memory.</summary>
    public torch.Device? Device { get; init; }

    /// <summary>Standard deviation of initial weights.</summary>
    public double InitialStd { get; init; } = 0.02;

    /// <summary>Standard deviation of maps that end in the residual stream; smaller in deep models.</summary>
    public double ResidualStd { get; init; } = 0.02;

    internal Tensor Normal(double std, params long[] shape)
    {
        var tensor = torch.empty(shape, dtype: torch.ScalarType.Float32, device: Device);
        return std > 0 ? torch.nn.init.normal_(tensor, 0, std) : torch.nn.init.zeros_(tensor);
    }

    internal Tensor Constant(double value, params long[] shape)
    {
        using var scalar = value.ToScalar();
        return torch.full(shape, scalar, dtype: torch.ScalarType.Float32, device: Device);
    }
}
