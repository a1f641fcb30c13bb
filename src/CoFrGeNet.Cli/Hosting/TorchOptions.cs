using System.CommandLine;
using System.Diagnostics;
using CoFrGeNet.Torch.Native;
using TorchSharp;

namespace CoFrGeNet.Cli;

/// <summary>--device and --threads, and the start of libtorch with them: the one place where the tool first touches it.</summary>
internal sealed class TorchOptions
{
    private readonly Option<string> _device = new("--device")
    {
        Description = "Where to compute: cpu, cuda or cuda:N",
        HelpName = "DEVICE",
        DefaultValueFactory = _ => "cpu",
    };

    private readonly Option<int?> _threads = new("--threads")
    {
        Description = "CPU threads for tensor operations; results are equal bit by bit for equal numbers only [default: one a core]",
        HelpName = "N",
    };

    /// <summary>Both options.</summary>
    public IEnumerable<Option> Options => [_device, _threads];

    /// <summary>Loads libtorch and sets it up.</summary>
    /// <param name="arguments">The parsed command line.</param>
    /// <param name="localRank">The number of this process on its host, which chooses among several GPUs.</param>
    /// <returns>The device.</returns>
    /// <exception cref="UserErrorException">libtorch does not load, or there is no such device.</exception>
    public torch.Device Start(ParseResult arguments, int localRank = 0)
    {
        StartOnCpu(arguments);
        var name = DeviceName(arguments);
        var device = Device(name == "cuda" && localRank > 0 ? $"cuda:{localRank}" : name);
        if (device.type != DeviceType.CPU)
        {
            // Kernels that cannot be used are replaced by slower operations, which shall not happen in silence.
            Trace.Listeners.Add(new TextWriterTraceListener(arguments.InvocationConfiguration.Error) { Filter = new EventTypeFilter(SourceLevels.Warning) });
        }

        return device;
    }

    /// <summary>--threads alone, for verbs that compute on the CPU only; they call <see cref="StartOnCpu"/>.</summary>
    public Option Threads => _threads;

    /// <summary>Loads libtorch and sets up its threads.</summary>
    /// <param name="arguments">The parsed command line.</param>
    /// <exception cref="UserErrorException">libtorch does not load.</exception>
    public void StartOnCpu(ParseResult arguments)
    {
        var threads = ThreadCount(arguments);
        LibTorch.EnsureLoaded();
        AllocatorTuning.Apply();
        if (threads is { } count)
        {
            torch.set_num_threads(count);
        }
    }

    /// <summary>--threads; null: not given.</summary>
    /// <param name="arguments">The parsed command line.</param>
    /// <exception cref="UserErrorException">It is less than 1.</exception>
    public int? ThreadCount(ParseResult arguments) => arguments.GetValue(_threads) is var threads and not < 1
        ? threads
        : throw new UserErrorException($"--threads is {arguments.GetValue(_threads)}; allowed is 1 or more.");

    /// <summary>--device as it was given.</summary>
    /// <param name="arguments">The parsed command line.</param>
    public string DeviceName(ParseResult arguments) => arguments.GetValue(_device)!;

    /// <summary>The same options for another command line, with a space before each; empty if none was given.</summary>
    /// <param name="arguments">The parsed command line.</param>
    public string Repeat(ParseResult arguments) =>
        (arguments.GetValue(_threads) is { } threads ? $" --threads {threads}" : string.Empty)
        + (arguments.GetValue(_device) is { } device && device != "cpu" ? $" --device {device}" : string.Empty);

    private static torch.Device Device(string name)
    {
        var parts = name.Split(':');
        var index = 0;
        if (name == "cpu")
        {
            return torch.CPU;
        }

        if (parts[0] != "cuda" || parts.Length > 2 || (parts.Length == 2 && !int.TryParse(parts[1], out index)))
        {
            throw new UserErrorException($"--device is '{name}'; allowed are cpu, cuda and cuda:N.");
        }

        var count = torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        return index >= 0 && index < count
            ? new torch.Device(DeviceType.CUDA, index)
            : throw new UserErrorException($"--device is '{name}', and {count} CUDA devices are available; use --device cpu, or run 'cofrgenet doctor'.");
    }
}
