using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// AdamW's update of parameters, wherever they lie: one pass by <see cref="AdamWKernel"/> on the CPU and by a kernel compiled at run time on a CUDA device, else tensor
/// operations.
/// </summary>
public static unsafe class AdamWUpdate
{
    /// <summary>The kernels for parameters on CUDA devices.</summary>
    internal static CudaOperation Kernels { get; } = new("AdamW is composed of tensor operations instead of CUDA kernels");

    /// <summary>Updates parameters and their moments in place.</summary>
    /// <param name="targets">The parameters, each with its step.</param>
    public static void Apply(IEnumerable<AdamWTarget> targets)
    {
        var device = new List<AdamWTarget>();
        foreach (AdamWTarget target in targets.Where(target => target.Parameter.numel() > 0))
        {
            var (parameter, gradient, mean, square, step) = target;
            if (!target.Tensors.All(TensorMemory.IsPlain))
            {
                ByTensors(target);
            }
            else if (Kernels.Serves(parameter))
            {
                device.Add(target);
            }
            else if (parameter.device_type == DeviceType.CPU)
            {
                AdamWKernel.Apply(
                    TensorMemory.Pointer<float>(parameter), TensorMemory.Pointer<float>(gradient), TensorMemory.Pointer<float>(mean), TensorMemory.Pointer<float>(square),
                    parameter.numel(), step, get_num_threads());
            }
            else
            {
                ByTensors(target);
            }
        }

        // Like sizes together; what one launch cannot do is done another way, and the others stay as they are.
        foreach (AdamWTarget[] part in device.OrderByDescending(target => target.Parameter.numel()).GroupBy(target => target.Parameter.device_index).SelectMany(place => place.Chunk(CudaAdamW.Entries)))
        {
            if (!TryRun(part[0].Parameter, (kernels, stream) => kernels.Apply(part, stream)))
            {
                Array.ForEach(part, ByTensors);
            }
        }
    }

    /// <summary>Runs the kernels; false: there are none for this tensor's device.</summary>
    internal static bool TryRun(Tensor like, Action<CudaAdamW, nint> run) =>
        Kernels.Find(like, nameof(CudaAdamW), (toolkit, device) => new CudaAdamW(toolkit, device), (kernels, stream) => kernels.Check(like.device, stream)) is { } kernels
        && Kernels.TryRun(kernels, like, run);

    // The same for any device and type.
    private static void ByTensors(AdamWTarget target)
    {
        var (parameter, gradient, mean, square, step) = target;
        using var scope = NewDisposeScope();
        using Scalar scale = step.GradientScale.ToScalar(), beta1 = step.Beta1.ToScalar(), rest1 = (1 - step.Beta1).ToScalar(), beta2 = step.Beta2.ToScalar();
        using Scalar rest2 = (1 - step.Beta2).ToScalar(), keep = step.Keep.ToScalar(), root = step.Root.ToScalar(), epsilon = step.Epsilon.ToScalar(), rate = step.Rate.ToScalar();
        var scaled = step.GradientScale == 1 ? gradient : gradient.mul(scale);
        mean.mul_(beta1).add_(scaled, alpha: rest1);
        square.mul_(beta2).addcmul_(scaled, scaled, value: rest2);
        if (step.WeightDecay > 0)
        {
            parameter.mul_(keep);
        }

        var denominator = square.sqrt();
        denominator.div_(root).add_(epsilon);
        parameter.addcdiv_(mean, denominator, value: rate);
        if (step.ClearsGradient)
        {
            gradient.zero_();
        }
    }
}
