using System.Reflection;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>One of the sources, compiled for a variant and loaded on its device.</summary>
internal sealed unsafe class CudaModule
{
    /// <summary>What stands in front of kernels for ladders.</summary>
    internal const string Prelude = "ladder.cu";

    private readonly CudaDriver _driver;
    private readonly int _device;
    private readonly nint _module;

    /// <summary>Compiles and loads.</summary>
    /// <param name="driver">The driver.</param>
    /// <param name="compiler">The compiler.</param>
    /// <param name="device">The device's number.</param>
    /// <param name="definitions">Macros and their values.</param>
    /// <param name="files">The source, one file or several in their order; messages name the last.</param>
    /// <exception cref="CudaException">It does not compile or load.</exception>
    public CudaModule(CudaDriver driver, NvrtcCompiler compiler, int device, IEnumerable<(string Name, int Value)> definitions, params string[] files)
    {
        _driver = driver;
        _device = device;
        byte[] image = compiler.Compile(Source(files), files[^1], definitions, driver.Capability(device));
        _module = driver.Load(device, image);
    }

    /// <summary>Compiles kernels for ladders and loads them.</summary>
    /// <param name="driver">The driver.</param>
    /// <param name="compiler">The compiler.</param>
    /// <param name="variant">What they are compiled for.</param>
    /// <param name="source">projected.cu or elementwise.cu.</param>
    /// <exception cref="CudaException">It does not compile or load.</exception>
    public CudaModule(CudaDriver driver, NvrtcCompiler compiler, CudaVariant variant, string source)
        : this(driver, compiler, variant.Device, variant.Definitions, Prelude, source)
    {
    }

    /// <summary>Files as one source, behind what all of them use.</summary>
    internal static string Source(params string[] files) => string.Concat(files.Prepend("element.cu").Select(Text));

    /// <summary>A kernel by its name.</summary>
    /// <exception cref="CudaException">There is none.</exception>
    public nint Kernel(string name) => _driver.Function(_device, _module, name);

    /// <summary>Puts a kernel into a stream.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public void Launch<TArguments>(nint kernel, CudaGrid grid, nint stream, TArguments arguments)
        where TArguments : unmanaged => _driver.Launch(kernel, _device, grid, stream, &arguments);

    // The line directive keeps line numbers of messages those of the file.
    private static string Text(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("CoFrGeNet.Torch.Cuda." + name)!;
        using var reader = new StreamReader(stream);
        return $"#line 1 \"{name}\"\n" + reader.ReadToEnd();
    }
}
