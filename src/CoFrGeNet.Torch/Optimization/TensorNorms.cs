using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>The norms that gradients are clipped by, in few launches on a CUDA device.</summary>
public static class TensorNorms
{
    /// <summary>The Euclidean norm of each gradient.</summary>
    /// <param name="gradients">Any shapes; all on one device.</param>
    /// <returns>One norm a gradient, in their order.</returns>
    public static double[] Of(IReadOnlyList<Tensor> gradients)
    {
        if (gradients.Count == 0)
        {
            return [];
        }

        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        Tensor? squares = null;
        if (gradients.All(TensorMemory.IsPlain) && AdamWUpdate.TryRun(gradients[0], (kernels, stream) => squares = kernels.Squares(gradients, stream)))
        {
            return [.. squares!.sqrt().cpu().data<double>()];
        }

        // One transfer for all norms, since each costs a wait on an accelerator.
        double[] norms = [.. stack([.. gradients.Select(gradient => gradient.norm())]).cpu().to(ScalarType.Float64).data<double>()];

        // The square of a gradient above 1e19 is more than float32 holds; the gradient itself may still be a number.
        return norms.All(double.IsFinite) ? norms : [.. gradients.Select(gradient => gradient.cpu().to(ScalarType.Float64).norm().item<double>())];
    }
}
