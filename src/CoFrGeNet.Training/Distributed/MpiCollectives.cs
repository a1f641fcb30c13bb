using System.Diagnostics;
using System.Text;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>Collectives of Open MPI on tensors in main memory. All of it is called from the thread that created it.</summary>
internal sealed unsafe partial class MpiCollectives : ICollectives
{
    private const int HostBytes = 256;
    private const int TestsBetweenCalls = 64;
    private const uint NapMicroseconds = 20;

    // Until then a waiting rank looks again at once.
    private static readonly TimeSpan Eager = TimeSpan.FromMilliseconds(1);

    // From then on the others are late, not the network, and a millisecond does not matter.
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(10);

    private readonly MpiLibrary _mpi;
    private readonly nint _communicator;
    private readonly RollCall _rollCall;
    private readonly string[] _hosts;
    private readonly int _localSize;
    private long _started;
    private bool _hasEnded;

    /// <summary>Starts MPI and checks it against what the launcher says.</summary>
    /// <param name="layout">What the launcher says.</param>
    /// <exception cref="UserErrorException">There is no Open MPI, or the processes do not find each other.</exception>
    public MpiCollectives(RankLayout layout)
    {
        _mpi = MpiLibrary.Load();
        _localSize = layout.LocalSize;
        Timeout = TimeSpan.FromSeconds(new DistributedConfig().TimeoutSeconds);
        int level, rank, size;
        _mpi.Check(_mpi.InitThread(null, 0, MpiLibrary.ThreadFunneled, &level), "start");
        _mpi.Check(_mpi.CommRank(_mpi.World, &rank), "tell the rank");
        _mpi.Check(_mpi.CommSize(_mpi.World, &size), "tell the number of ranks");
        (Rank, Size) = (rank, size);
        if (level < MpiLibrary.ThreadFunneled)
        {
            throw new UserErrorException($"{_mpi.Version} was built without threads; install one that was built with them.");
        }

        if (rank != layout.Rank || size != layout.Size)
        {
            throw new UserErrorException(
                $"{layout.Launcher} has started rank {layout.Rank} of {layout.Size} processes, but {_mpi.Version} sees rank {rank} of {size}; start them with Open MPI's mpirun, or under Slurm with srun --mpi=pmix.");
        }

        _communicator = Duplicate();
        _rollCall = new RollCall(_mpi, Duplicate(), rank, size);
        _hosts = GatherHosts();
    }

    /// <inheritdoc/>
    public int Rank { get; }

    /// <inheritdoc/>
    public int Size { get; }

    /// <inheritdoc/>
    public string Name => _mpi.Version;

    /// <inheritdoc/>
    public TimeSpan Timeout { get; set; }

    /// <inheritdoc/>
    public string Host(int rank) => _hosts[rank];

    /// <inheritdoc/>
    public void AllReduce(Tensor values, ReduceOperation operation)
    {
        nint request;
        var code = _mpi.AllReduce(MpiLibrary.InPlace, TensorMemory.ContiguousAddress(values), Count(values.numel()), TypeOf(values), OperationOf(operation), _communicator, &request);
        Complete(code, request, "combine values");
    }

    /// <inheritdoc/>
    public void ReduceScatter(Tensor values, Tensor part)
    {
        nint request;
        var code = _mpi.ReduceScatter(
            TensorMemory.ContiguousAddress(values), TensorMemory.ContiguousAddress(part), Count(part.numel()), TypeOf(values), OperationOf(ReduceOperation.Sum), _communicator, &request);
        Complete(code, request, "reduce and scatter values");
    }

    /// <inheritdoc/>
    public void AllGather(Tensor values)
    {
        nint request;
        var type = TypeOf(values);
        var code = _mpi.AllGather(MpiLibrary.InPlace, 0, type, TensorMemory.ContiguousAddress(values), Count(values.numel() / Size), type, _communicator, &request);
        Complete(code, request, "gather values");
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor values, int root)
    {
        nint request;
        var code = _mpi.Broadcast(TensorMemory.ContiguousAddress(values), Count(values.numel()), TypeOf(values), root, _communicator, &request);
        Complete(code, request, "broadcast values");
    }

    /// <inheritdoc/>
    public void Barrier()
    {
        nint request;
        Complete(_mpi.Barrier(_communicator, &request), request, "meet the others");
    }

    /// <inheritdoc/>
    public void Idle()
    {
        if (!_hasEnded)
        {
            _rollCall.Answer(_started);
        }
    }

    /// <inheritdoc/>
    public void Abort(int exitCode) => _ = _mpi.Abort(_mpi.World, exitCode);

    /// <inheritdoc/>
    public void Dispose()
    {
        _hasEnded = true;
        _ = _mpi.Finalize();
    }

    // Its errors are returned: the default ends the process without a word about the run.
    private nint Duplicate()
    {
        nint copy;
        _mpi.Check(_mpi.CommDuplicate(_mpi.World, &copy), "duplicate the communicator");
        _mpi.Check(_mpi.CommSetErrorHandler(copy, _mpi.ErrorsReturn), "set the error handler");
        return copy;
    }

    private string[] GatherHosts()
    {
        using var names = zeros((long)Size * HostBytes, ScalarType.Byte);
        var own = Encoding.UTF8.GetBytes(Environment.MachineName);
        var all = new byte[Size * HostBytes];
        own.AsSpan(0, Math.Min(own.Length, HostBytes)).CopyTo(all.AsSpan(Rank * HostBytes));
        names.bytes = all;
        AllGather(names);
        var gathered = names.bytes.ToArray();
        return [.. Enumerable.Range(0, Size).Select(rank => Encoding.UTF8.GetString(gathered, rank * HostBytes, HostBytes).TrimEnd('\0'))];
    }

    // MPI makes progress only inside its calls, so a waiting rank asks again and again.
    private void Complete(int code, nint request, string what)
    {
        _mpi.Check(code, what);
        _started++;
        var since = Stopwatch.GetTimestamp();
        for (long tests = 1; ; tests++)
        {
            int done;
            _mpi.Check(_mpi.Test(&request, &done, 0), what);
            if (done != 0)
            {
                return;
            }

            var waited = Stopwatch.GetElapsedTime(since);
            if (waited < Eager || (waited < Patient && HasCoreToSpare))
            {
                Thread.Yield();
            }
            else
            {
                _ = Nap(waited < Patient ? NapMicroseconds : 1000);
            }

            if (tests % TestsBetweenCalls == 0)
            {
                _rollCall.Answer(_started);
                if (waited > Timeout)
                {
                    throw new CommunicationFailedException(WhoIsMissing(what));
                }
            }
        }
    }

    // A thread that asks without a pause takes its core from the computation, unless there is one more for each rank of the host.
    private bool HasCoreToSpare => _localSize * (get_num_threads() + 1) <= Environment.ProcessorCount;

    private string WhoIsMissing(string what)
    {
        var answers = _rollCall.Call(_started, TimeSpan.FromSeconds(Math.Clamp(Timeout.TotalSeconds / 4, 1, 5)));
        string Names(Func<long?, bool> belongs) => string.Join(", ", answers
            .Select((answer, rank) => (answer, rank)).Where(entry => entry.rank != Rank && belongs(entry.answer)).Select(entry => $"rank {entry.rank} on {_hosts[entry.rank]}"));
        var silent = Names(answer => answer is null);
        var behind = Names(answer => answer < _started);
        var reasons = new List<string>();
        if (silent.Length > 0)
        {
            reasons.Add($"{silent} gives no answer: it has ended or hangs, or the network to it is cut");
        }

        if (behind.Length > 0)
        {
            reasons.Add($"{behind} answers, but has not come so far: its training hangs, or takes longer than the timeout");
        }

        if (reasons.Count == 0)
        {
            reasons.Add("every rank answers and takes part, so the network is slower than the timeout allows");
        }

        return FormattableString.Invariant($"Waited {Timeout.TotalSeconds:0.#} seconds (training.distributed.timeoutSeconds) to {what}: {string.Join("; ", reasons)}. Mend the cause, then go on with the same command and --resume.");
    }

    [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "usleep")]
    private static partial int Nap(uint microseconds);

    private static int Count(long elements) => elements <= int.MaxValue
        ? (int)elements
        : throw new UserErrorException($"A block of {elements} elements is larger than MPI can send at once; allowed is {int.MaxValue}.");

    private nint TypeOf(Tensor values) => values.dtype switch
    {
        ScalarType.Float32 => _mpi.Single,
        ScalarType.Float64 => _mpi.Double,
        ScalarType.Int64 => _mpi.Int64,
        ScalarType.Byte => _mpi.Byte,
        var other => throw new ArgumentException($"Tensors of {other} are not sent.", nameof(values)),
    };

    private nint OperationOf(ReduceOperation operation) => operation switch
    {
        ReduceOperation.Sum => _mpi.Sum,
        ReduceOperation.Min => _mpi.Min,
        _ => _mpi.Max,
    };
}
