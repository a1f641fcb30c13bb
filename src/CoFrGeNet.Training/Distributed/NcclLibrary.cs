using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CoFrGeNet.Training;

/// <summary>The part of NCCL 2 and of the CUDA runtime that is used. They are loaded when they are asked for.</summary>
internal sealed unsafe class NcclLibrary
{
    /// <summary>cudaErrorNotReady: the stream still works.</summary>
    public const int NotReady = 600;

    private static readonly string[] NcclNames = ["libnccl.so.2"];
    private static readonly string[] CudaNames = ["libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so"];

    private static readonly Lazy<NcclLibrary> Loaded = new(() => new NcclLibrary());

    private readonly nint _nccl;
    private readonly nint _cuda;

    private NcclLibrary()
    {
        _nccl = Open(NcclNames, "NCCL");
        _cuda = Open(CudaNames, "the CUDA runtime");
        int version;
        _ = ((delegate* unmanaged<int*, int>)Export(_nccl, "ncclGetVersion"))(&version);
        Version = version >= 10000 ? $"NCCL {version / 10000}.{version / 100 % 100}.{version % 100}" : $"NCCL {version / 1000}.{version / 100 % 10}.{version % 100}";
        GetUniqueId = (delegate* unmanaged<NcclId*, int>)Export(_nccl, "ncclGetUniqueId");
        InitRank = (delegate* unmanaged<nint*, int, NcclId, int, int>)Export(_nccl, "ncclCommInitRank");
        AllReduce = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Export(_nccl, "ncclAllReduce");
        ReduceScatter = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Export(_nccl, "ncclReduceScatter");
        AllGather = (delegate* unmanaged<nint, nint, nuint, int, nint, nint, int>)Export(_nccl, "ncclAllGather");
        Broadcast = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Export(_nccl, "ncclBroadcast");
        GetAsyncError = (delegate* unmanaged<nint, int*, int>)Export(_nccl, "ncclCommGetAsyncError");
        CommAbort = (delegate* unmanaged<nint, int>)Export(_nccl, "ncclCommAbort");
        CommDestroy = (delegate* unmanaged<nint, int>)Export(_nccl, "ncclCommDestroy");
        SetDevice = (delegate* unmanaged<int, int>)Export(_cuda, "cudaSetDevice");
        StreamCreate = (delegate* unmanaged<nint*, uint, int>)Export(_cuda, "cudaStreamCreateWithFlags");
        StreamQuery = (delegate* unmanaged<nint, int>)Export(_cuda, "cudaStreamQuery");
        StreamWaitEvent = (delegate* unmanaged<nint, nint, uint, int>)Export(_cuda, "cudaStreamWaitEvent");
        EventCreate = (delegate* unmanaged<nint*, uint, int>)Export(_cuda, "cudaEventCreateWithFlags");
        EventRecord = (delegate* unmanaged<nint, nint, int>)Export(_cuda, "cudaEventRecord");
    }

    public string Version { get; }

    public delegate* unmanaged<NcclId*, int> GetUniqueId { get; }

    public delegate* unmanaged<nint*, int, NcclId, int, int> InitRank { get; }

    public delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> AllReduce { get; }

    public delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> ReduceScatter { get; }

    public delegate* unmanaged<nint, nint, nuint, int, nint, nint, int> AllGather { get; }

    public delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> Broadcast { get; }

    public delegate* unmanaged<nint, int*, int> GetAsyncError { get; }

    public delegate* unmanaged<nint, int> CommAbort { get; }

    public delegate* unmanaged<nint, int> CommDestroy { get; }

    public delegate* unmanaged<int, int> SetDevice { get; }

    public delegate* unmanaged<nint*, uint, int> StreamCreate { get; }

    public delegate* unmanaged<nint, int> StreamQuery { get; }

    public delegate* unmanaged<nint, nint, uint, int> StreamWaitEvent { get; }

    public delegate* unmanaged<nint*, uint, int> EventCreate { get; }

    public delegate* unmanaged<nint, nint, int> EventRecord { get; }

    /// <summary>Loads both libraries once.</summary>
    /// <exception cref="UserErrorException">One of them is not there.</exception>
    public static NcclLibrary Load() => Loaded.Value;

    /// <summary>Checks that both libraries can be loaded.</summary>
    /// <exception cref="UserErrorException">One of them is not there.</exception>
    public static void RequireLoaded() => Load();

    /// <summary>Requires that a call succeeded.</summary>
    /// <param name="code">What it returned; 0 is success in both libraries.</param>
    /// <param name="what">What it did, for the message.</param>
    /// <exception cref="CommunicationFailedException">It failed.</exception>
    public void Check(int code, string what)
    {
        if (code != 0)
        {
            throw new CommunicationFailedException($"{Version} failed to {what} (code {code}); NCCL_DEBUG=INFO tells more. Go on with --resume.");
        }
    }

    private static nint Open(string[] names, string what)
    {
        foreach (var name in names)
        {
            if (NativeLibrary.TryLoad(name, out var library))
            {
                return library;
            }
        }

        throw new UserErrorException($"Several processes with --device cuda need {what}, and {string.Join(", ", names)} cannot be loaded; install it or set LD_LIBRARY_PATH, or train with --device cpu.");
    }

    private nint Export(nint library, string name) => NativeLibrary.TryGetExport(library, name, out var address)
        ? address
        : throw new UserErrorException($"{(library == _nccl ? "NCCL" : "The CUDA runtime")} has no {name}; install NCCL 2.4 and CUDA 11 or later.");
}

/// <summary>What the ranks of one communicator share, ncclUniqueId.</summary>
[InlineArray(Length)]
internal struct NcclId
{
    /// <summary>Its bytes.</summary>
    public const int Length = 128;

    private byte _first;
}
