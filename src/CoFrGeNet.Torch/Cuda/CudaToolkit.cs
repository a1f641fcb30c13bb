namespace CoFrGeNet.Torch.Cuda;

/// <summary>The two libraries of NVIDIA that kernels of our own take.</summary>
/// <param name="Driver">Loads and launches.</param>
/// <param name="Compiler">Compiles.</param>
internal sealed record CudaToolkit(CudaDriver Driver, NvrtcCompiler Compiler)
{
    /// <summary>This machine's, found and started at the first use.</summary>
    public static Lazy<CudaToolkit> Installed { get; } = new(Open);

    private static CudaToolkit Open() => new(new CudaDriver(CudaLibraries.LoadDriver()), new NvrtcCompiler(CudaLibraries.LoadCompiler()));
}
