using CoFrGeNet.Kernels;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>A parameter that AdamW updates, and by what.</summary>
/// <param name="Parameter">Any shape, changed.</param>
/// <param name="Gradient">Of the same shape, changed where the step clears it.</param>
/// <param name="Mean">First moments, of the same shape, changed.</param>
/// <param name="Square">Second moments, of the same shape, changed.</param>
/// <param name="Step">The step's numbers.</param>
public sealed record AdamWTarget(Tensor Parameter, Tensor Gradient, Tensor Mean, Tensor Square, AdamWStep Step)
{
    /// <summary>All four tensors.</summary>
    internal IEnumerable<Tensor> Tensors => [Parameter, Gradient, Mean, Square];

    /// <summary>A copy on a device.</summary>
    internal AdamWTarget On(Device device) => this with
    {
        Parameter = Parameter.to(device, copy: true),
        Gradient = Gradient.to(device, copy: true),
        Mean = Mean.to(device, copy: true),
        Square = Square.to(device, copy: true),
    };
}
