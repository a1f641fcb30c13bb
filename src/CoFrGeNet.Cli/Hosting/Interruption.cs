using System.Runtime.InteropServices;

namespace CoFrGeNet.Cli;

/// <summary>Turns the first Ctrl-C, SIGTERM or SIGHUP (a terminal that closes) into a request to stop; the second one ends the process at once.</summary>
internal sealed partial class Interruption : IDisposable
{
    // SIGXFSZ, the same number on Linux and macOS. It would end the process; without it the write fails, and is told of like that of a full disk.
    private const PosixSignal FileSizeLimit = (PosixSignal)25;

    // For as long as the process lives: a signal that is handled after its registration is gone would end it.
    private static readonly PosixSignalRegistration? FileSizeRegistration =
        OperatingSystem.IsWindows() ? null : PosixSignalRegistration.Create(FileSizeLimit, context => context.Cancel = true);

    private readonly CancellationTokenSource _stop = new();
    private readonly TextWriter _error;
    private readonly PosixSignalRegistration[] _registrations;
    private int _signals;

    private Interruption(TextWriter error)
    {
        _error = error;
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal),
        ];
    }

    /// <summary>Is cancelled by the first signal.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>Starts listening.</summary>
    /// <param name="error">Where the first signal is acknowledged.</param>
    public static Interruption Listen(TextWriter error)
    {
        GC.KeepAlive(FileSizeRegistration);
        return new Interruption(error);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _stop.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _signals) > 1)
        {
            EndNow();
        }

        _error.WriteLine("\nstopping in an orderly way; once more stops at once");
        _stop.Cancel();
    }

    // Not Environment.Exit: it would take libtorch apart while the main thread still computes in it.
    private static void EndNow()
    {
        if (OperatingSystem.IsWindows())
        {
            Environment.FailFast("interrupted twice");
        }

        ExitProcess(ExitCode.Interrupted);
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void ExitProcess(int code);
}
