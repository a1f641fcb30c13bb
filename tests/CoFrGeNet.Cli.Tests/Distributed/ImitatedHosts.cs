using System.Diagnostics;

namespace CoFrGeNet.Cli.Tests.Distributed;

/// <summary>
/// Two hosts imitated by network namespaces of this machine, with names and addresses of their own and a cable between them. mpirun runs on the first one, and reaches the
/// second by a script in place of ssh. Needs root and 'ip netns'; gone after the test with all processes in it.
/// </summary>
internal sealed class ImitatedHosts : IDisposable
{
    public const string First = "host-a";
    public const string Second = "host-b";

    public const string SecondAddress = "10.77.0.2";

    private const string FirstAddress = "10.77.0.1";

    private readonly string _agent;

    private ImitatedHosts(string folder)
    {
        _agent = Path.Combine(folder, "agent.sh");
        File.WriteAllText(_agent, $"""
            #!/bin/sh
            if [ "$1" = {FirstAddress} ]; then host={First}; else host={Second}; fi
            shift
            exec ip netns exec cofrgenet-$host unshare --uts sh -c "hostname $host; $*"

            """);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_agent, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        foreach (var host in new[] { First, Second })
        {
            Run("ip", "netns", "add", Name(host));
            Run("ip", "-n", Name(host), "link", "set", "lo", "up");
            // How often a lost packet is sent again before a connection is given up, a setting of the system: 4 times take about 6 seconds, the default of 15 a quarter of an hour.
            Run("ip", "netns", "exec", Name(host), "sh", "-c", "echo 4 > /proc/sys/net/ipv4/tcp_retries2");
        }

        Run("ip", "link", "add", "cable-a", "netns", Name(First), "type", "veth", "peer", "name", "cable-b", "netns", Name(Second));
        Run("ip", "-n", Name(First), "addr", "add", FirstAddress + "/24", "dev", "cable-a");
        Run("ip", "-n", Name(Second), "addr", "add", SecondAddress + "/24", "dev", "cable-b");
        Run("ip", "-n", Name(First), "link", "set", "cable-a", "up");
        Plug();
    }

    /// <summary>Makes the hosts, or skips the test where that is not allowed.</summary>
    public static ImitatedHosts CreateOrSkip(string folder)
    {
        var probe = "cofrgenet-probe";
        try
        {
            var (code, error) = TryRun("ip", "netns", "add", probe);
            Assert.SkipUnless(code == 0, $"'ip netns add' is not allowed here ({error.Trim()}); root on a Linux machine would run it");
            Run("ip", "netns", "del", probe);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("there is no 'ip' on this machine; on Debian 'apt-get install iproute2' would run it");
        }

        Delete();
        return new ImitatedHosts(folder);
    }

    /// <summary>Starts a rank on each host.</summary>
    public ToolProcess Start(params string[] arguments) => ToolProcess.StartProgram(
        "ip",
        [
            "netns", "exec", Name(First), "unshare", "--uts", "sh", "-c", $"hostname {First}; exec \"$@\"", "sh",
            "mpirun", "--allow-run-as-root", "--oversubscribe", "-x", "OMP_NUM_THREADS=1", "--mca", "plm_rsh_agent", _agent, "--mca", "btl", "tcp,self",
            "--mca", "btl_tcp_if_include", "10.77.0.0/24", "--mca", "oob_tcp_if_include", "10.77.0.0/24", "--host", $"{FirstAddress}:1,{SecondAddress}:1", "-n", "2",
            .. RankedTool.Tool, .. arguments,
        ]);

    /// <summary>Pulls the cable.</summary>
    public static void Unplug() => Run("ip", "-n", Name(Second), "link", "set", "cable-b", "down");

    /// <summary>Plugs the cable in again.</summary>
    public static void Plug() => Run("ip", "-n", Name(Second), "link", "set", "cable-b", "up");

    public void Dispose() => Delete();

    private static string Name(string host) => $"cofrgenet-{host}";

    private static void Delete()
    {
        foreach (var host in new[] { First, Second })
        {
            TryRun("sh", "-c", $"ip netns pids {Name(host)} 2>/dev/null | xargs -r kill -9; ip netns del {Name(host)} 2>/dev/null");
        }
    }

    private static void Run(params string[] command)
    {
        var (code, error) = TryRun(command);
        Assert.True(code == 0, $"{string.Join(' ', command)}: {error}");
    }

    private static (int Code, string Error) TryRun(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, error);
    }
}
