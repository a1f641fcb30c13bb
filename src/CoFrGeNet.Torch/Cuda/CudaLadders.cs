using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>
/// Ladders on CUDA devices by kernels that are compiled when first needed, one module a device, depth, guard and type. Each is checked against the CPU's
/// results before it is used (<see cref="CudaKernels"/>); where that fails the answer is null, and tensor operations do the work.
/// </summary>
internal sealed class CudaLadders
{
    private static readonly Lazy<CudaLadders> Installed = new(() => new CudaLadders(CudaToolkit.Installed, TorchStream.Current));

    private readonly CudaKernels _kernels;
    private readonly Func<int, nint> _stream;

    /// <param name="toolkit">Finds the libraries, at the first use.</param>
    /// <param name="stream">The calling thread's stream on a device.</param>
    public CudaLadders(Lazy<CudaToolkit> toolkit, Func<int, nint> stream)
    {
        _kernels = new CudaKernels(toolkit, "Ladders are composed of tensor operations instead of CUDA kernels");
        _stream = stream;
    }

    /// <summary>What serves CPU tensors in place of their own kernels: a device that a test emulates. Null but there.</summary>
    internal static CudaLadders? Emulation { get; set; }

    /// <summary>Who may have kernels for a tensor's device and type; null: nobody, or they are switched off.</summary>
    public static CudaLadders? For(Tensor a) =>
        LadderFunction.Backend == LadderBackend.Fused && a.dtype is ScalarType.Float32 or ScalarType.BFloat16
            ? Emulation ?? (a.device_type == DeviceType.CUDA ? Installed.Value : null)
            : null;

    /// <summary>Says whether kernels can be used on the first CUDA device, and why not; compiles one to find out.</summary>
    public static (bool Works, string Found) Probe()
    {
        try
        {
            if (LadderFunction.Backend == LadderBackend.Composed)
            {
                return (false, "COFRGENET_LADDERS=composed switches them off");
            }

            CudaToolkit toolkit = Installed.Value._kernels.Toolkit;
            if (!cuda.is_available())
            {
                return (false, "libtorch is of a build without CUDA, or finds no device; build with -p:TorchBackend=cuda");
            }

            (int major, int minor) = toolkit.Driver.Capability(0);
            using Tensor a = ones([4, 3, 4], device: CUDA);
            return Installed.Value.Projected(a, PoleGuard.Default) is null
                ? (false, string.Join("; ", Installed.Value._kernels.Reported))
                : (true, $"compiled by NVRTC {toolkit.Compiler.Version} for compute capability {major}.{minor} and checked against the CPU's results");
        }
        catch (Exception error) when (CudaKernels.IsFailure(error))
        {
            return (false, error.Message);
        }
    }

    /// <summary>f [..., L] of a [..., d, L]; null: there is no kernel.</summary>
    public Tensor? Forward(Tensor a, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs) =>
        Projected(a, guard) is { } kernels ? _kernels.Run(kernels, a, () => kernels.Forward(a, guard, statistics, outputs, Stream(a))) : null;

    /// <summary>The gradient for a [..., d, L]; null: there is no kernel.</summary>
    public Tensor? Backward(Tensor a, PoleGuard guard, Tensor gradOutput) =>
        Projected(a, guard) is { } kernels ? _kernels.Run(kernels, a, () => kernels.Backward(a, guard, gradOutput, Stream(a))) : null;

    /// <summary>Whether there are kernels for elementwise ladders on g.</summary>
    public bool CanRunElementwise(Tensor g, int depth, PoleGuard guard) => Elementwise(g, depth, guard) is not null;

    /// <summary>y of elementwise ladders; null: there is no kernel.</summary>
    public Tensor? Forward(IReadOnlyList<Tensor> inputs, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs) =>
        Elementwise(inputs[0], (int)inputs[1].size(0), guard) is { } kernels
            ? _kernels.Run(kernels, inputs[0], () => kernels.Forward(inputs, guard, statistics, outputs, Stream(inputs[0])))
            : null;

    /// <summary>Fills the gradients of elementwise ladders; false: there is no kernel.</summary>
    public bool TryBackward(IReadOnlyList<Tensor> inputs, PoleGuard guard, Tensor gradY, Tensor[] gradients)
    {
        if (Elementwise(inputs[0], (int)inputs[1].size(0), guard) is not { } kernels)
        {
            return false;
        }

        return _kernels.Run(kernels, inputs[0], () =>
        {
            kernels.Backward(inputs, guard, gradY, gradients, Stream(inputs[0]));
            return gradients;
        }) is not null;
    }

    private static CudaVariant Variant(Tensor a, int depth, PoleGuard guard) =>
        new(Math.Max(0, a.device_index), depth, guard.GetType(), TensorMemory.ElementTypeOf(a));

    private nint Stream(Tensor a) => _stream(Math.Max(0, a.device_index));

    private CudaProjectedLadders? Projected(Tensor a, PoleGuard guard)
    {
        CudaVariant variant = Variant(a, (int)a.size(-2), guard);
        return _kernels.Get(
            variant,
            toolkit => new CudaProjectedLadders(toolkit.Driver, toolkit.Compiler, variant),
            kernels => CudaSelfCheck.Check(kernels, variant.Depth, guard, a, Stream(a)));
    }

    private CudaElementwiseLadders? Elementwise(Tensor g, int depth, PoleGuard guard)
    {
        CudaVariant variant = Variant(g, depth, guard);
        return _kernels.Get(
            variant,
            toolkit => new CudaElementwiseLadders(toolkit.Driver, toolkit.Compiler, variant),
            kernels => CudaSelfCheck.Check(kernels, depth, guard, g, Stream(g)));
    }
}
