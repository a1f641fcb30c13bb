using System.Reflection;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>One of the sources, compiled for a variant and loaded on its device.</summary>
internal sealed unsafe class CudaModule
{
    private readonly CudaDriver _driver;
    private readonly nint _module;

    /// <summary>Compiles and loads.</summary>
    /// <param name="driver">The driver.</param>
    /// <param name="compiler">The compiler.</param>
    /// <param name="variant">What it is compiled for.</param>
    /// <param name="source">projected.cu or elementwise.cu.</param>
    /// <exception cref="CudaException">It does not compile or load.</exception>
    public CudaModule(CudaDriver driver, NvrtcCompiler compiler, CudaVariant variant, string source)
    {
        _driver = driver;
        Variant = variant;
        byte[] image = compiler.Compile(Source(source), source, variant.Definitions, driver.Capability(variant.Device));
        _module = driver.Load(variant.Device, image);
    }

    /// <summary>What it was compiled for.</summary>
    public CudaVariant Variant { get; }

    /// <summary>A source with ladder.cu in front.</summary>
    internal static string Source(string name) => Text("ladder.cu") + Text(name);

    /// <summary>A kernel by its name.</summary>
    /// <exception cref="CudaException">There is none.</exception>
    public nint Kernel(string name) => _driver.Function(Variant.Device, _module, name);

    /// <summary>Puts a kernel into a stream.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public void Launch<TArguments>(nint kernel, CudaGrid grid, nint stream, TArguments arguments)
        where TArguments : unmanaged => _driver.Launch(kernel, Variant.Device, grid, stream, &arguments);

    // The line directive keeps line numbers of messages those of the file.
    private static string Text(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("CoFrGeNet.Torch.Cuda." + name)!;
        using var reader = new StreamReader(stream);
        return $"#line 1 \"{name}\"\n" + reader.ReadToEnd();
    }
}
