using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// AdamW's update of one parameter, wherever it lies: one pass by <see cref="AdamWKernel"/> on the CPU and by a kernel compiled at run time on a CUDA device, else tensor
/// operations.
/// </summary>
public static unsafe class AdamWUpdate
{
    private static readonly Lazy<CudaKernels> Installed = new(() => NewKernels(CudaToolkit.Installed));

    /// <summary>What serves CPU tensors in place of their own kernel: a device that a test emulates. Null but there.</summary>
    internal static CudaKernels? Emulation { get; set; }

    /// <summary>Updates a parameter and its moments in place.</summary>
    /// <param name="parameter">Any shape.</param>
    /// <param name="gradient">Of the same shape.</param>
    /// <param name="mean">First moments, of the same shape.</param>
    /// <param name="square">Second moments, of the same shape.</param>
    /// <param name="step">The step's numbers.</param>
    public static void Apply(Tensor parameter, Tensor gradient, Tensor mean, Tensor square, AdamWStep step)
    {
        if (parameter.numel() == 0)
        {
            return;
        }

        bool isPlain = TensorMemory.IsPlain(parameter) && TensorMemory.IsPlain(gradient) && TensorMemory.IsPlain(mean) && TensorMemory.IsPlain(square);
        if (isPlain && parameter.device_type == DeviceType.CPU && Emulation is null)
        {
            AdamWKernel.Apply(
                TensorMemory.Pointer<float>(parameter), TensorMemory.Pointer<float>(gradient), TensorMemory.Pointer<float>(mean), TensorMemory.Pointer<float>(square),
                parameter.numel(), step, get_num_threads());
            return;
        }

        if (isPlain && TryOnDevice(parameter, gradient, mean, square, step))
        {
            return;
        }

        ByTensors(parameter, gradient, mean, square, step);
    }

    /// <summary>A place for kernels to be kept in.</summary>
    internal static CudaKernels NewKernels(Lazy<CudaToolkit> toolkit) => new(toolkit, "AdamW is composed of tensor operations instead of a CUDA kernel");

    private static bool TryOnDevice(Tensor parameter, Tensor gradient, Tensor mean, Tensor square, AdamWStep step)
    {
        if (LadderFunction.Backend != LadderBackend.Fused || (Emulation ?? (parameter.device_type == DeviceType.CUDA ? Installed.Value : null)) is not { } kernels)
        {
            return false;
        }

        int number = Math.Max(0, parameter.device_index);
        nint stream = Emulation is null ? TorchStream.Current(number) : 0;
        if (kernels.Get(number, toolkit => new CudaAdamW(toolkit, number), made => made.Check(parameter.device, stream)) is not { } kernel)
        {
            return false;
        }

        return kernels.Run(kernel, parameter, () =>
        {
            kernel.Apply(
                (float*)TensorMemory.Address(parameter), (float*)TensorMemory.Address(gradient), (float*)TensorMemory.Address(mean), (float*)TensorMemory.Address(square),
                parameter.numel(), step, stream);
            return kernel;
        }) is not null;
    }

    // The same for any device and type.
    private static void ByTensors(Tensor parameter, Tensor gradient, Tensor mean, Tensor square, AdamWStep step)
    {
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
