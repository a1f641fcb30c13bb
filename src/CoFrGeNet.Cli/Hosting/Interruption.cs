using System.Runtime.InteropServices;

namespace CoFrGeNet.Cli;

/// <summary>Turns the first Ctrl-C or SIGTERM into a request to stop; the second one ends the process at once.</summary>
internal sealed partial class Interruption : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TextWriter _error;
    private readonly PosixSignalRegistration[] _registrations;
    private int _signals;

    private Interruption(TextWriter error)
    {
        _error = error;
        _registrations = [PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal), PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal)];
    }

    /// <summary>Is cancelled by the first signal.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>Starts listening.</summary>
    /// <param name="error">Where the first signal is acknowledged.</param>
    public static Interruption Listen(TextWriter error) => new(error);

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

        _error.WriteLine("\nstopping as soon as everything is saved; once more stops at once");
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
