using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Cuda;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>Kernels of the emulated device, each variant compiled once.</summary>
internal sealed class CompiledKernels<T>(Func<CudaDriver, NvrtcCompiler, CudaVariant, T> compile)
    where T : class
{
    private readonly Dictionary<CudaVariant, T> _compiled = [];

    public T Get(EmulatedCuda cuda, int depth, PoleGuard guard, ElementType type)
    {
        var variant = new CudaVariant(0, depth, guard.GetType(), type);
        if (!_compiled.TryGetValue(variant, out T? kernels))
        {
            kernels = compile(cuda.Toolkit.Driver, cuda.Toolkit.Compiler, variant);
            _compiled.Add(variant, kernels);
        }

        return kernels;
    }
}
