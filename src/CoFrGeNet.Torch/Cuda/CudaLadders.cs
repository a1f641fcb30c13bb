using System.Diagnostics;
using System.Runtime.InteropServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>
/// Ladders on CUDA devices by kernels that are compiled when first needed, one module a device, depth, guard and type. Each is checked against the CPU's
/// results before it is used. Whatever fails is said once, as a warning to <see cref="Trace"/>, and then the answer is null: tensor operations do the work.
/// </summary>
internal sealed class CudaLadders
{
    private static readonly Lazy<CudaLadders> Installed = new(() => new CudaLadders(CudaToolkit.Open, TorchStream.Current));

    private readonly Lock _gate = new();
    private readonly Lazy<CudaToolkit> _toolkit;
    private readonly Func<int, nint> _stream;
    private readonly Dictionary<(Type Kernels, CudaVariant Variant), object?> _kernels = [];
    private readonly HashSet<string> _reported = [];

    /// <param name="open">Finds the libraries, at the first use.</param>
    /// <param name="stream">The calling thread's stream on a device.</param>
    public CudaLadders(Func<CudaToolkit> open, Func<int, nint> stream)
    {
        _toolkit = new Lazy<CudaToolkit>(open);
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

            CudaToolkit toolkit = Installed.Value._toolkit.Value;
            if (!cuda.is_available())
            {
                return (false, "libtorch is of a build without CUDA, or finds no device; build with -p:TorchBackend=cuda");
            }

            (int major, int minor) = toolkit.Driver.Capability(0);
            using Tensor a = ones([4, 3, 4], device: CUDA);
            return Installed.Value.Projected(a, PoleGuard.Default) is null
                ? (false, string.Join("; ", Installed.Value._reported))
                : (true, $"compiled by NVRTC {toolkit.Compiler.Version} for compute capability {major}.{minor} and checked against the CPU's results");
        }
        catch (Exception error) when (IsFailure(error))
        {
            return (false, error.Message);
        }
    }

    /// <summary>f [..., L] of a [..., d, L]; null: there is no kernel.</summary>
    public Tensor? Forward(Tensor a, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs) =>
        Projected(a, guard) is { } kernels ? Run(kernels, a, () => kernels.Forward(a, guard, statistics, outputs, Stream(a))) : null;

    /// <summary>The gradient for a [..., d, L]; null: there is no kernel.</summary>
    public Tensor? Backward(Tensor a, PoleGuard guard, Tensor gradOutput) =>
        Projected(a, guard) is { } kernels ? Run(kernels, a, () => kernels.Backward(a, guard, gradOutput, Stream(a))) : null;

    /// <summary>Whether there are kernels for elementwise ladders on g.</summary>
    public bool CanRunElementwise(Tensor g, int depth, PoleGuard guard) => Elementwise(g, depth, guard) is not null;

    /// <summary>y of elementwise ladders; null: there is no kernel.</summary>
    public Tensor? Forward(IReadOnlyList<Tensor> inputs, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs) =>
        Elementwise(inputs[0], (int)inputs[1].size(0), guard) is { } kernels
            ? Run(kernels, inputs[0], () => kernels.Forward(inputs, guard, statistics, outputs, Stream(inputs[0])))
            : null;

    /// <summary>Fills the gradients of elementwise ladders; false: there is no kernel.</summary>
    public bool TryBackward(IReadOnlyList<Tensor> inputs, PoleGuard guard, Tensor gradY, Tensor[] gradients)
    {
        if (Elementwise(inputs[0], (int)inputs[1].size(0), guard) is not { } kernels)
        {
            return false;
        }

        return Run(kernels, inputs[0], () =>
        {
            kernels.Backward(inputs, guard, gradY, gradients, Stream(inputs[0]));
            return gradients;
        }) is not null;
    }

    private static bool IsFailure(Exception error) => error is CudaException or ExternalException;

    private static CudaVariant Variant(Tensor a, int depth, PoleGuard guard) =>
        new(Math.Max(0, a.device_index), depth, guard.GetType(), TensorMemory.ElementTypeOf(a));

    private nint Stream(Tensor a) => _stream(Math.Max(0, a.device_index));

    private CudaProjectedLadders? Projected(Tensor a, PoleGuard guard) => Kernels(
        Variant(a, (int)a.size(-2), guard),
        static (toolkit, variant) => new CudaProjectedLadders(toolkit.Driver, toolkit.Compiler, variant),
        kernels => CudaSelfCheck.Check(kernels, (int)a.size(-2), guard, a, Stream(a)));

    private CudaElementwiseLadders? Elementwise(Tensor g, int depth, PoleGuard guard) => Kernels(
        Variant(g, depth, guard),
        static (toolkit, variant) => new CudaElementwiseLadders(toolkit.Driver, toolkit.Compiler, variant),
        kernels => CudaSelfCheck.Check(kernels, depth, guard, g, Stream(g)));

    private T? Kernels<T>(CudaVariant variant, Func<CudaToolkit, CudaVariant, T> compile, Action<T> check)
        where T : class
    {
        lock (_gate)
        {
            if (_kernels.TryGetValue((typeof(T), variant), out object? known))
            {
                return (T?)known;
            }

            T? kernels = null;
            try
            {
                T compiled = compile(_toolkit.Value, variant);
                check(compiled);
                kernels = compiled;
            }
            catch (Exception error) when (IsFailure(error))
            {
                Report(error.Message);
            }

            _kernels.Add((typeof(T), variant), kernels);
            return kernels;
        }
    }

    // A launch that fails is not tried again.
    private TResult? Run<TKernels, TResult>(TKernels kernels, Tensor a, Func<TResult> run)
        where TKernels : class
        where TResult : class
    {
        try
        {
            return run();
        }
        catch (CudaException error)
        {
            lock (_gate)
            {
                foreach (var key in _kernels.Where(entry => ReferenceEquals(entry.Value, kernels)).Select(entry => entry.Key).ToArray())
                {
                    _kernels[key] = null;
                }

                Report($"{error.Message}, on {a.device}");
            }

            return null;
        }
    }

    private void Report(string reason)
    {
        if (_reported.Add(reason))
        {
            Trace.TraceWarning("Ladders are composed of tensor operations instead of CUDA kernels: {0}", reason);
        }
    }
}
