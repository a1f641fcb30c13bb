using System.Runtime.InteropServices;
using System.Text;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>The processes that train together, seen from one of them. A single process is a group of one, for which everything here is done at once.</summary>
/// <remarks>Members are called from the trainer's thread; a <see cref="CommunicationThread"/> does the work.</remarks>
public sealed partial class RankGroup : IDisposable
{
    // As long as a signal to all takes; the process must not outlive its job.
    private static readonly TimeSpan AbortPatience = TimeSpan.FromSeconds(3);

    private readonly CommunicationThread? _thread;
    private readonly ICollectives? _host;
    private NcclCollectives? _device;
    private volatile bool _isAborting;

    /// <summary>Joins the others.</summary>
    /// <param name="create">Connects to them; runs on the thread that communicates.</param>
    public RankGroup(Func<ICollectives> create)
    {
        ICollectives? made = null;
        _thread = new CommunicationThread(() => made?.Idle());
        try
        {
            _thread.Run(() => made = create());
        }
        catch
        {
            _thread.Dispose();
            throw;
        }

        _host = made!;
        Rank = _host.Rank;
        Size = _host.Size;
    }

    private RankGroup() => Size = 1;

    /// <summary>One process alone.</summary>
    public static RankGroup Single { get; } = new();

    /// <summary>This process, from 0.</summary>
    public int Rank { get; }

    /// <summary>Number of processes.</summary>
    public int Size { get; }

    /// <summary>This process among those of its host, from 0.</summary>
    public int LocalRank { get; private init; }

    /// <summary>Whether this is the process that reads, writes and reports for all.</summary>
    public bool IsFirst => Rank == 0;

    /// <summary>What carries the messages.</summary>
    public string Transport => _host is null ? "none" : _device is null ? _host.Name : $"{_host.Name} and {_device.Name}";

    /// <summary>Whether all ranks are about to end for the same reason, so that none needs to be told.</summary>
    public bool EndsTogether { get; private set; }

    /// <summary>How long a rank waits for the others.</summary>
    public TimeSpan Timeout
    {
        set
        {
            if (_host is not null)
            {
                _thread!.Run(() => _host.Timeout = value);
                if (_device is not null)
                {
                    _thread!.Run(() => _device.Timeout = value);
                }
            }
        }
    }

    /// <summary>Joins the processes that a launcher has started beside this one; a single process is alone.</summary>
    /// <param name="layout">What the launcher says.</param>
    /// <exception cref="UserErrorException">They cannot be reached; one line says why and what to do.</exception>
    public static RankGroup Join(RankLayout layout)
    {
        ArgumentNullException.ThrowIfNull(layout);
        if (layout.Size == 1)
        {
            return Single;
        }

        LibTorch.EnsureLoaded();
        return layout.Launcher switch
        {
            Launcher.Mpich => throw new UserErrorException("The processes were started by the mpirun of MPICH or a descendant of it; only Open MPI is supported: start them with Open MPI's mpirun (Debian: apt-get install openmpi-bin libopenmpi3)."),
            Launcher.Torchrun => throw new UserErrorException($"RANK and WORLD_SIZE ask for {layout.Size} processes, and none of them was started under MPI, which they need to find each other: start them with 'mpirun -n {layout.Size}' or 'srun --mpi=pmix', or unset both to train in one process."),
            _ => new RankGroup(() => new MpiCollectives(layout)) { LocalRank = layout.LocalRank },
        };
    }

    /// <summary>Sends tensors on GPUs by NCCL from here on.</summary>
    /// <param name="device">The GPU of this process.</param>
    /// <exception cref="UserErrorException">NCCL cannot be loaded.</exception>
    public void UseNccl(Device device)
    {
        if (_host is not null)
        {
            Together(() => _thread!.Run(NcclLibrary.RequireLoaded));
            _thread!.Run(() => _device = new NcclCollectives(_host, device));
        }
    }

    /// <summary>The rank and its host, for messages.</summary>
    /// <param name="rank">The rank.</param>
    public string Describe(int rank) => _host is null ? $"rank {rank}" : $"rank {rank} on {_host.Host(rank)}";

    /// <summary>Combines a tensor of every rank in place.</summary>
    /// <param name="values">Changed.</param>
    /// <param name="operation">How.</param>
    public void AllReduce(Tensor values, ReduceOperation operation = ReduceOperation.Sum) => _thread?.Run(() => For(values).AllReduce(values, operation));

    /// <summary>Combines numbers of every rank.</summary>
    /// <param name="values">This rank's.</param>
    /// <param name="operation">How.</param>
    /// <returns>The combined ones, equal bit by bit on all ranks.</returns>
    public double[] AllReduce(double[] values, ReduceOperation operation = ReduceOperation.Sum)
    {
        if (_thread is null)
        {
            return values;
        }

        using var all = tensor(values);
        AllReduce(all, operation);
        return all.data<double>().ToArray();
    }

    /// <summary>Copies a tensor of one rank to all.</summary>
    /// <param name="values">Given at the root, overwritten elsewhere.</param>
    /// <param name="root">Whose it is.</param>
    public void Broadcast(Tensor values, int root = 0) => _thread?.Run(() => For(values).Broadcast(values, root));

    /// <summary>Posts work with tensors that does not wait for an answer; what runs on other ranks must be posted there in the same order.</summary>
    /// <param name="action">The work.</param>
    /// <param name="device">Where the tensors lie.</param>
    internal Task Post(Action<ICollectives> action, Device device) => _thread!.Post(() => action(device.type == TorchSharp.DeviceType.CPU ? _host! : _device!));

    /// <summary>Whether a condition holds on any rank.</summary>
    /// <param name="condition">Here.</param>
    public bool Any(bool condition) => _thread is null ? condition : AllReduce([condition ? 1 : 0], ReduceOperation.Max)[0] > 0;

    /// <summary>Waits until every rank is here.</summary>
    public void Barrier() => _thread?.Run(_host!.Barrier);

    /// <summary>A text of the first rank.</summary>
    /// <param name="text">The text there; ignored elsewhere.</param>
    public string Broadcast(string text)
    {
        if (_thread is null)
        {
            return text;
        }

        var bytes = IsFirst ? Encoding.UTF8.GetBytes(text) : [];
        var length = (long)AllReduce([bytes.Length], ReduceOperation.Max)[0];
        using var all = zeros(length, ScalarType.Byte);
        if (IsFirst)
        {
            all.bytes = bytes;
        }

        Broadcast(all);
        return Encoding.UTF8.GetString(all.bytes);
    }

    /// <summary>A text of every rank, by rank.</summary>
    /// <param name="text">This rank's.</param>
    public IReadOnlyList<string> Gather(string text)
    {
        if (_thread is null)
        {
            return [text];
        }

        var bytes = Encoding.UTF8.GetBytes(text);
        var lengths = new double[Size];
        lengths[Rank] = bytes.Length;
        lengths = AllReduce(lengths);
        var longest = (int)lengths.Max();
        var own = new byte[(long)Size * longest];
        bytes.CopyTo(own, Rank * longest);
        using var all = zeros(own.Length, ScalarType.Byte);
        all.bytes = own;
        _thread.Run(() => _host!.AllGather(all));
        var gathered = all.bytes.ToArray();
        return [.. lengths.Select((length, rank) => Encoding.UTF8.GetString(gathered, rank * longest, (int)length))];
    }

    /// <summary>Does on the first rank what only one may do, such as writing files. The others wait.</summary>
    /// <param name="action">The work.</param>
    /// <exception cref="RankLeftException">On the other ranks, if it failed; the first one throws what it threw.</exception>
    public void OnFirst(Action action) => Together(IsFirst ? action : () => { });

    /// <summary>Does on every rank what may fail on some of them. Communicates only afterwards.</summary>
    /// <param name="action">The work.</param>
    /// <exception cref="RankLeftException">It failed elsewhere and not here, or failed with the same message on a lower rank; where it failed, what it threw.</exception>
    public void Together(Action action)
    {
        if (_thread is null)
        {
            action();
            return;
        }

        Exception? failure = null;
#pragma warning disable CA1031 // The others must hear of it before it is thrown on.
        try
        {
            action();
        }
        catch (Exception error) when (error is not (CommunicationFailedException or RankLeftException))
        {
            failure = error;
        }
#pragma warning restore CA1031

        if (!Any(failure is not null))
        {
            return;
        }

        EndsTogether = true;
        var messages = Gather(failure?.Message ?? string.Empty);
        var isUserError = Any(failure is UserErrorException);
        // The same mistake is told once.
        if (failure is null || messages.Take(Rank).Contains(failure.Message))
        {
            throw new RankLeftException(isUserError);
        }

        System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>An error that every rank throws at the same point for the same reason; the first one tells of it.</summary>
    /// <param name="error">The error.</param>
    /// <returns>What this rank throws.</returns>
    public Exception Agreed(Exception error)
    {
        EndsTogether = true;
        return IsFirst ? error : new RankLeftException(error is UserErrorException);
    }

    /// <summary>Ends all processes of the job, this one included.</summary>
    /// <param name="exitCode">The exit code.</param>
    public void Abort(int exitCode)
    {
        if (_thread is null || _isAborting)
        {
            return;
        }

        _isAborting = true;
        // The thread may be waiting for a rank that never comes; what it waits for ends by itself after the timeout at the latest.
        var ended = _thread.Post(() => _host!.Abort(exitCode), always: true);
        ended.Wait(AbortPatience);
        Exit(exitCode);
    }

    /// <summary>Takes leave of the others; waits for them.</summary>
    public void Dispose()
    {
        if (_thread is null || _isAborting)
        {
            return;
        }

        try
        {
            if (_device is not null)
            {
                _thread.Run(_device.Dispose);
            }

            _thread.Run(_host!.Barrier);
            _thread.Run(_host.Dispose);
        }
        catch (CommunicationFailedException)
        {
            // They are gone already.
        }

        _thread.Dispose();
    }

    private ICollectives For(Tensor values) => values.device_type == TorchSharp.DeviceType.CPU
        ? _host!
        : _device ?? throw new InvalidOperationException("The tensor is on a GPU, and UseNccl has not been called.");

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);
}
