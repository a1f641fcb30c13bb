using System.Diagnostics;
using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Distributed;

/// <summary>The tool as several processes under Open MPI's mpirun.</summary>
internal static class RankedTool
{
    /// <summary>The command line that starts the tool by itself.</summary>
    public static string[] Tool { get; } = ["dotnet", Path.Combine(AppContext.BaseDirectory, "CoFrGeNet.Cli.dll")];

    /// <summary>Skips the test where there is no Open MPI.</summary>
    public static void RequireOpenMpi()
    {
        const string install = "on Debian 'apt-get install openmpi-bin libopenmpi3' would run it";
        try
        {
            using var version = Process.Start(new ProcessStartInfo("mpirun", ["--version"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var text = version.StandardOutput.ReadToEnd();
            Assert.SkipUnless(text.Contains("Open MPI", StringComparison.Ordinal), $"mpirun is not Open MPI's; {install}");
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip($"there is no mpirun on this machine; {install}");
        }
    }

    /// <summary>Starts so many ranks of the tool.</summary>
    public static ToolProcess Start(int ranks, params string[] arguments) => Start(ranks, [], Tool, arguments);

    /// <summary>Starts so many ranks of a command with options of mpirun's own.</summary>
    public static ToolProcess Start(int ranks, string[] options, string[] command, params string[] arguments) => ToolProcess.StartProgram(
        "mpirun", ["--allow-run-as-root", "--oversubscribe", "-n", $"{ranks}", "-x", "OMP_NUM_THREADS=1", .. options, .. command, .. arguments]);

    /// <summary>The process of a rank of a run, found by its environment.</summary>
    public static int ProcessOf(string run, int rank)
    {
        var variable = $"OMPI_COMM_WORLD_RANK={rank}";
        foreach (var folder in Directory.GetDirectories("/proc").Where(folder => int.TryParse(Path.GetFileName(folder), out _)))
        {
            try
            {
                if (File.ReadAllText(folder + "/comm").Trim() == "dotnet"
                    && File.ReadAllText(folder + "/cmdline").Split('\0').Contains(run)
                    && File.ReadAllText(folder + "/environ").Split('\0').Contains(variable))
                {
                    return int.Parse(Path.GetFileName(folder));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has ended meanwhile, or belongs to somebody else.
            }
        }

        Assert.Fail($"there is no process of rank {rank} of {run}");
        return 0;
    }

    /// <summary>Step, training loss and validation loss of each line of a run's log that has one of the two.</summary>
    public static IReadOnlyList<(int Step, double Loss)> Losses(string run)
    {
        var losses = new List<(int, double)>();
        foreach (var text in File.ReadLines(run + "/metrics.jsonl"))
        {
            using var line = JsonDocument.Parse(text);
            if (line.RootElement.TryGetProperty("loss", out var value) || line.RootElement.TryGetProperty("validationLoss", out value))
            {
                losses.Add((line.RootElement.GetProperty("step").GetInt32(), value.GetDouble()));
            }
        }

        return losses;
    }
}
