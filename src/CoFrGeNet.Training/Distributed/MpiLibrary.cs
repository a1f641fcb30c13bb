using System.Runtime.InteropServices;
using System.Text;

namespace CoFrGeNet.Training;

/// <summary>
/// The part of Open MPI's C library that is used, in the binary interface of its versions 4 and 5. It is loaded when it is asked for, so that a single process needs none.
/// </summary>
internal sealed unsafe partial class MpiLibrary
{
    /// <summary>Thread level: MPI is called from the thread alone that has started it.</summary>
    public const int ThreadFunneled = 1;

    /// <summary>Any sender.</summary>
    public const int AnySource = -1;

    private const string FileName = "libmpi.so.40";
    private const int LongestText = 8192;
    private const string Install = "install Open MPI (Debian: apt-get install openmpi-bin libopenmpi3), or start a single process without mpirun or srun";

    private static readonly Lazy<MpiLibrary> Loaded = new(() => new MpiLibrary());

    private readonly nint _library;

    private MpiLibrary()
    {
        // Debian's and the name that links of development packages have.
        if (!NativeLibrary.TryLoad(FileName, out _library) && !NativeLibrary.TryLoad("libmpi.so", out _library))
        {
            throw new UserErrorException($"Several processes need Open MPI's library {FileName}, which cannot be loaded; {Install}.");
        }

        Version = ReadVersion();
        if (!Version.StartsWith("Open MPI", StringComparison.Ordinal))
        {
            throw new UserErrorException($"The MPI library found is '{Version}'; only Open MPI 4 and 5 are supported: {Install}.");
        }

        InitThread = (delegate* unmanaged<int*, nint, int, int*, int>)Export("MPI_Init_thread");
        CommRank = (delegate* unmanaged<nint, int*, int>)Export("MPI_Comm_rank");
        CommSize = (delegate* unmanaged<nint, int*, int>)Export("MPI_Comm_size");
        CommDuplicate = (delegate* unmanaged<nint, nint*, int>)Export("MPI_Comm_dup");
        CommSetErrorHandler = (delegate* unmanaged<nint, nint, int>)Export("MPI_Comm_set_errhandler");
        AllReduce = (delegate* unmanaged<nint, nint, int, nint, nint, nint, nint*, int>)Export("MPI_Iallreduce");
        ReduceScatter = (delegate* unmanaged<nint, nint, int, nint, nint, nint, nint*, int>)Export("MPI_Ireduce_scatter_block");
        AllGather = (delegate* unmanaged<nint, int, nint, nint, int, nint, nint, nint*, int>)Export("MPI_Iallgather");
        Broadcast = (delegate* unmanaged<nint, int, nint, int, nint, nint*, int>)Export("MPI_Ibcast");
        Barrier = (delegate* unmanaged<nint, nint*, int>)Export("MPI_Ibarrier");
        Test = (delegate* unmanaged<nint*, int*, nint, int>)Export("MPI_Test");
        Probe = (delegate* unmanaged<int, int, nint, int*, MpiStatus*, int>)Export("MPI_Iprobe");
        Send = (delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int>)Export("MPI_Isend");
        Receive = (delegate* unmanaged<nint, int, nint, int, int, nint, MpiStatus*, int>)Export("MPI_Recv");
        Abort = (delegate* unmanaged<nint, int, int>)Export("MPI_Abort");
        Finalize = (delegate* unmanaged<int>)Export("MPI_Finalize");
        World = Export("ompi_mpi_comm_world");
        ErrorsReturn = Export("ompi_mpi_errors_return");
        Single = Export("ompi_mpi_float");
        Double = Export("ompi_mpi_double");
        Int64 = Export("ompi_mpi_int64_t");
        Byte = Export("ompi_mpi_byte");
        Sum = Export("ompi_mpi_op_sum");
        Min = Export("ompi_mpi_op_min");
        Max = Export("ompi_mpi_op_max");
    }

    /// <summary>The address that stands for "the input is where the output goes".</summary>
    public static nint InPlace => 1;

    /// <summary>What the library calls itself, one line.</summary>
    public string Version { get; }

    public delegate* unmanaged<int*, nint, int, int*, int> InitThread { get; }

    public delegate* unmanaged<nint, int*, int> CommRank { get; }

    public delegate* unmanaged<nint, int*, int> CommSize { get; }

    public delegate* unmanaged<nint, nint*, int> CommDuplicate { get; }

    public delegate* unmanaged<nint, nint, int> CommSetErrorHandler { get; }

    public delegate* unmanaged<nint, nint, int, nint, nint, nint, nint*, int> AllReduce { get; }

    public delegate* unmanaged<nint, nint, int, nint, nint, nint, nint*, int> ReduceScatter { get; }

    public delegate* unmanaged<nint, int, nint, nint, int, nint, nint, nint*, int> AllGather { get; }

    public delegate* unmanaged<nint, int, nint, int, nint, nint*, int> Broadcast { get; }

    public delegate* unmanaged<nint, nint*, int> Barrier { get; }

    public delegate* unmanaged<nint*, int*, nint, int> Test { get; }

    public delegate* unmanaged<int, int, nint, int*, MpiStatus*, int> Probe { get; }

    public delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int> Send { get; }

    public delegate* unmanaged<nint, int, nint, int, int, nint, MpiStatus*, int> Receive { get; }

    public delegate* unmanaged<nint, int, int> Abort { get; }

    public delegate* unmanaged<int> Finalize { get; }

    public nint World { get; }

    public nint ErrorsReturn { get; }

    public nint Single { get; }

    public nint Double { get; }

    public nint Int64 { get; }

    public nint Byte { get; }

    public nint Sum { get; }

    public nint Min { get; }

    public nint Max { get; }

    /// <summary>Loads the library once.</summary>
    /// <exception cref="UserErrorException">There is none, or it is not Open MPI.</exception>
    public static MpiLibrary Load()
    {
        // Before the library reads its settings: it would take over the signals that .NET makes exceptions of.
        _ = SetVariable("OMPI_MCA_opal_signal", string.Empty, 1);
        return Loaded.Value;
    }

    /// <summary>Requires that a call succeeded.</summary>
    /// <param name="code">What it returned.</param>
    /// <param name="what">What it did, for the message.</param>
    /// <exception cref="CommunicationFailedException">It failed.</exception>
    public void Check(int code, string what)
    {
        if (code == 0)
        {
            return;
        }

        var describe = (delegate* unmanaged<int, byte*, int*, int>)Export("MPI_Error_string");
        Span<byte> text = stackalloc byte[LongestText];
        int length;
        fixed (byte* first = text)
        {
            _ = describe(code, first, &length);
        }

        throw new CommunicationFailedException($"Open MPI failed to {what}: {Encoding.UTF8.GetString(text[..length]).Trim()}; the other ranks may have ended. Go on with --resume.");
    }

    private string ReadVersion()
    {
        if (!NativeLibrary.TryGetExport(_library, "MPI_Get_library_version", out var function))
        {
            return "unknown";
        }

        Span<byte> text = stackalloc byte[LongestText];
        int length;
        fixed (byte* first = text)
        {
            _ = ((delegate* unmanaged<byte*, int*, int>)function)(first, &length);
        }

        return Encoding.UTF8.GetString(text[..length]).Split('\n', ',')[0].TrimEnd('\0', ' ');
    }

    private nint Export(string name) => NativeLibrary.TryGetExport(_library, name, out var address)
        ? address
        : throw new UserErrorException($"The MPI library ({Version}) has no {name}; only Open MPI 4 and 5 are supported: {Install}.");

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);
}

/// <summary>MPI_Status of Open MPI.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MpiStatus
{
    /// <summary>The sender.</summary>
    public int Source;

    /// <summary>The message's tag.</summary>
    public int Tag;

    /// <summary>An error code.</summary>
    public int Error;

    private readonly int _cancelled;
    private readonly nuint _count;
}
