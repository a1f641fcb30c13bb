using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Torch.Native;

/// <summary>
/// Runs our kernels on the threads of libtorch's OpenMP. After each tensor operation those wait spinning for some milliseconds; threads of
/// our own would share the processors with them.
/// </summary>
internal static unsafe class OpenMpTeam
{
    private static readonly Lazy<bool> InUse = new(TryUse);

    // GOMP_parallel(function, data, threads, flags).
    private static delegate* unmanaged<delegate* unmanaged<void*, void>, void*, uint, uint, void> _parallel;

    /// <summary>Makes all kernels of the process run on OpenMP's threads, where libtorch brings GNU's OpenMP; elsewhere the runtime's pool stays.</summary>
    /// <returns>Whether they do.</returns>
    public static bool Use() => InUse.Value;

    /// <summary>Runs an action on several threads at once.</summary>
    /// <exception cref="AggregateException">It has thrown on any of them.</exception>
    internal static void Run(int threads, Action action)
    {
        var call = new Call(action);
        GCHandle handle = GCHandle.Alloc(call);
        try
        {
            _parallel(&Enter, (void*)GCHandle.ToIntPtr(handle), (uint)threads, 0);
        }
        finally
        {
            handle.Free();
        }

        if (!call.Errors.IsEmpty)
        {
            throw new AggregateException(call.Errors);
        }
    }

    // An exception must not cross native frames.
    [UnmanagedCallersOnly]
    private static void Enter(void* data)
    {
        var call = Unsafe.As<Call>(GCHandle.FromIntPtr((nint)data).Target!);
        try
        {
            call.Action();
        }
#pragma warning disable CA1031 // It is thrown again by Run.
        catch (Exception error)
#pragma warning restore CA1031
        {
            call.Errors.Add(error);
        }
    }

    private static bool TryUse()
    {
        // The very file that libtorch has loaded: another copy would have threads of its own.
        string? folder = OperatingSystem.IsLinux() ? Path.GetDirectoryName(LibTorch.FindShim()) : null;
        string? library = folder is null ? null : Directory.EnumerateFiles(folder, "libgomp*.so*").FirstOrDefault();
        if (library is null || !NativeLibrary.TryLoad(library, out nint handle) || !NativeLibrary.TryGetExport(handle, "GOMP_parallel", out nint parallel))
        {
            return false;
        }

        _parallel = (delegate* unmanaged<delegate* unmanaged<void*, void>, void*, uint, uint, void>)parallel;
        RowPartition.Team = Run;
        return true;
    }

    private sealed record Call(Action Action)
    {
        public ConcurrentBag<Exception> Errors { get; } = [];
    }
}
