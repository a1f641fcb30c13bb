namespace CoFrGeNet.Torch.Cuda;

/// <summary>An operation with kernels of its own on CUDA devices, compiled at the first use; the caller has another way where there are none.</summary>
/// <param name="fallback">The warning where kernels cannot be used, up to the reason.</param>
internal sealed class CudaOperation(string fallback)
{
    private readonly Lazy<CudaKernels> _installed = new(() => new CudaKernels(CudaToolkit.Installed, fallback));

    /// <summary>What serves CPU tensors in place of their own kernel: a device that a test emulates. Null but there.</summary>
    public CudaKernels? Emulation { get; set; }

    /// <summary>Why kernels could not be used so far.</summary>
    public IReadOnlyCollection<string> Reported => Kernels.Reported;

    /// <summary>A place for kernels to be kept in.</summary>
    public CudaKernels NewKernels(Lazy<CudaToolkit> toolkit) => new(toolkit, fallback);

    /// <summary>Whether there may be kernels where a tensor lies.</summary>
    public bool Serves(Tensor tensor) => LadderFunction.Backend == LadderBackend.Fused && (Emulation is not null || tensor.device_type == TorchSharp.DeviceType.CUDA);

    /// <summary>The kernels, compiled and checked; null: there are none where a tensor lies.</summary>
    /// <param name="like">A tensor on their device.</param>
    /// <param name="variant">What they are compiled for beside the device.</param>
    /// <param name="compile">Compiles them for a device of this number.</param>
    /// <param name="check">Throws where they compute wrong; the address is the stream's.</param>
    public T? Find<T>(Tensor like, object variant, Func<CudaToolkit, int, T> compile, Action<T, nint> check)
        where T : class
    {
        if (!Serves(like))
        {
            return null;
        }

        int number = Math.Max(0, like.device_index);
        return Kernels.Get((number, variant), toolkit => compile(toolkit, number), made => check(made, Stream(like)));
    }

    /// <summary>Runs kernels in the calling thread's stream; false: a launch has failed, and they are not tried again.</summary>
    /// <param name="kernels">What <see cref="Find"/> gave.</param>
    /// <param name="like">A tensor on their device.</param>
    /// <param name="run">Launches them in a stream.</param>
    public bool TryRun<T>(T kernels, Tensor like, Action<T, nint> run)
        where T : class =>
        Kernels.Run(kernels, like, () =>
        {
            run(kernels, Stream(like));
            return kernels;
        }) is not null;

    private CudaKernels Kernels => Emulation ?? _installed.Value;

    private nint Stream(Tensor like) => Emulation is null ? TorchStream.Current(Math.Max(0, like.device_index)) : 0;
}
