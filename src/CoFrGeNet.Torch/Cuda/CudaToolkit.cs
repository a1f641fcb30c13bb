namespace CoFrGeNet.Torch.Cuda;

/// <summary>The two libraries of NVIDIA that kernels of our own take.</summary>
/// <param name="Driver">Loads and launches.</param>
/// <param name="Compiler">Compiles.</param>
internal sealed record CudaToolkit(CudaDriver Driver, NvrtcCompiler Compiler)
{
    /// <summary>Finds and starts both.</summary>
    /// <exception cref="CudaException">One is missing or does not start.</exception>
    public static CudaToolkit Open() => new(new CudaDriver(CudaLibraries.LoadDriver()), new NvrtcCompiler(CudaLibraries.LoadCompiler()));
}
