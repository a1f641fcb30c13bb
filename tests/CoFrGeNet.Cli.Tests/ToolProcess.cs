using System.Diagnostics;
using System.Runtime.InteropServices;

namespace CoFrGeNet.Cli.Tests;

/// <summary>The tool in a process of its own, for what cannot be seen from inside: signals and loaded libraries.</summary>
internal sealed partial class ToolProcess : IDisposable
{
    // A machine that builds and tests beside it may be slow; what never comes is noticed all the same.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly List<string> _errorLines = [];
    private readonly TaskCompletionSource _errorEnd = new();

    private ToolProcess(Process process)
    {
        _process = process;
        _process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is null)
            {
                _errorEnd.SetResult();
                return;
            }

            lock (_errorLines)
            {
                _errorLines.Add(line.Data);
            }
        };
        _process.Start();
        _process.BeginErrorReadLine();
        _output = _process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    public static ToolProcess Start(params string[] arguments) => Start(("OMP_NUM_THREADS", "1"), arguments);

    public static ToolProcess Start((string Name, string Value) variable, params string[] arguments)
    {
        var info = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        info.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "CoFrGeNet.Cli.dll"));
        info.Environment[variable.Name] = variable.Value;
        foreach (var argument in arguments)
        {
            info.ArgumentList.Add(argument);
        }

        return new ToolProcess(new Process { StartInfo = info });
    }

    /// <summary>Starts another program, for example one that starts the tool several times.</summary>
    public static ToolProcess StartProgram(string program, params IEnumerable<string> arguments)
    {
        var info = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        return new ToolProcess(new Process { StartInfo = info });
    }

    /// <summary>Sends a signal by its number to any process.</summary>
    public static void Signal(int process, int signal) => Assert.Equal(0, Kill(process, signal));

    /// <summary>Waits until a line on standard error holds a text.</summary>
    public async Task WaitForError(string text)
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Patience && !_process.HasExited)
        {
            if (HasError(text))
            {
                return;
            }

            await Task.Delay(50, TestContext.Current.CancellationToken);
        }

        Assert.Fail($"'{text}' never came: {string.Join('\n', _errorLines)}");
    }

    public int Id => _process.Id;

    /// <summary>Ends it at once, as a power cut would.</summary>
    /// <returns>Whether it was still there.</returns>
    public bool Kill()
    {
        // The exit code says more than asking before: it may end in between.
        _process.Kill();
        Assert.True(_process.WaitForExit(Patience));
        return _process.ExitCode == 128 + 9;
    }

    public bool HasError(string text)
    {
        lock (_errorLines)
        {
            return _errorLines.Any(line => line.Contains(text, StringComparison.Ordinal));
        }
    }

    public bool HasExited => _process.HasExited;

    public void Signal(PosixSignal signal) => Assert.Equal(0, Kill(_process.Id, signal == PosixSignal.SIGINT ? 2 : 15));

    public (int Code, string Output, string Error) WaitForExit()
    {
        Assert.True(_process.WaitForExit(Patience), "the tool did not end in time");
        _errorEnd.Task.Wait(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        return (_process.ExitCode, _output.GetAwaiter().GetResult(), string.Join('\n', _errorLines));
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
