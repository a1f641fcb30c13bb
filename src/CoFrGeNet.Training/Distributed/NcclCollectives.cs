using System.Diagnostics;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// Collectives of NCCL on tensors of one GPU a rank, on a stream of their own beside the computation's. MPI brings the ranks together. Has been compiled and its absence
/// tested; it has not been run on GPUs yet.
/// </summary>
internal sealed unsafe class NcclCollectives : ICollectives
{
    private const uint NonBlocking = 1;
    private const uint NoTiming = 2;

    // libtorch computes on CUDA's default stream.
    private const nint ComputeStream = 0;

    private readonly NcclLibrary _nccl;
    private readonly ICollectives _host;
    private readonly nint _communicator;
    private readonly nint _stream;
    private readonly nint _computed;

    /// <summary>Connects the GPUs of all ranks.</summary>
    /// <param name="host">Brings the ranks together.</param>
    /// <param name="device">This rank's GPU.</param>
    /// <exception cref="UserErrorException">NCCL is not there.</exception>
    public NcclCollectives(ICollectives host, Device device)
    {
        _nccl = NcclLibrary.Load();
        _host = host;
        Timeout = host.Timeout;
        NcclId id;
        if (host.Rank == 0)
        {
            _nccl.Check(_nccl.GetUniqueId(&id), "start");
        }

        using var shared = zeros(NcclId.Length, ScalarType.Byte);
        var bytes = new Span<byte>(&id, NcclId.Length);
        shared.bytes = bytes.ToArray();
        host.Broadcast(shared, 0);
        shared.bytes.CopyTo(bytes);
        nint communicator, stream, computed;
        _nccl.Check(_nccl.SetDevice(Math.Max(0, device.index)), $"choose {device}");
        _nccl.Check(_nccl.InitRank(&communicator, host.Size, id, host.Rank), "connect the GPUs");
        _nccl.Check(_nccl.StreamCreate(&stream, NonBlocking), "make a stream");
        _nccl.Check(_nccl.EventCreate(&computed, NoTiming), "make an event");
        (_communicator, _stream, _computed) = (communicator, stream, computed);
    }

    /// <inheritdoc/>
    public int Rank => _host.Rank;

    /// <inheritdoc/>
    public int Size => _host.Size;

    /// <inheritdoc/>
    public string Name => _nccl.Version;

    /// <inheritdoc/>
    public TimeSpan Timeout { get; set; }

    /// <inheritdoc/>
    public string Host(int rank) => _host.Host(rank);

    /// <inheritdoc/>
    public void AllReduce(Tensor values, ReduceOperation operation)
    {
        var address = AfterComputation(values);
        Complete(_nccl.AllReduce(address, address, (nuint)values.numel(), TypeOf(values), OperationOf(operation), _communicator, _stream), "combine values");
    }

    /// <inheritdoc/>
    public void ReduceScatter(Tensor values, Tensor part)
    {
        var address = AfterComputation(values);
        var code = _nccl.ReduceScatter(
            address, TensorMemory.ContiguousAddress(part), (nuint)part.numel(), TypeOf(values), OperationOf(ReduceOperation.Sum), _communicator, _stream);
        Complete(code, "reduce and scatter values");
    }

    /// <inheritdoc/>
    public void AllGather(Tensor values)
    {
        var address = AfterComputation(values);
        var part = values.numel() / Size;
        Complete(_nccl.AllGather(address + (nint)(Rank * part * values.ElementSize), address, (nuint)part, TypeOf(values), _communicator, _stream), "gather values");
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor values, int root)
    {
        var address = AfterComputation(values);
        Complete(_nccl.Broadcast(address, address, (nuint)values.numel(), TypeOf(values), root, _communicator, _stream), "broadcast values");
    }

    /// <inheritdoc/>
    public void Barrier() => _host.Barrier();

    /// <inheritdoc/>
    public void Idle()
    {
        // MPI answers for both.
    }

    /// <inheritdoc/>
    public void Abort(int exitCode) => _host.Abort(exitCode);

    /// <inheritdoc/>
    public void Dispose() => _ = _nccl.CommDestroy(_communicator);

    private nint AfterComputation(Tensor values)
    {
        _nccl.Check(_nccl.EventRecord(_computed, ComputeStream), "mark the computation");
        _nccl.Check(_nccl.StreamWaitEvent(_stream, _computed, 0), "wait for the computation");
        return TensorMemory.ContiguousAddress(values);
    }

    private void Complete(int code, string what)
    {
        _nccl.Check(code, what);
        var since = Stopwatch.GetTimestamp();
        while (_nccl.StreamQuery(_stream) is var state && state != 0)
        {
            int failure;
            _nccl.Check(state == NcclLibrary.NotReady ? 0 : state, what);
            _nccl.Check(_nccl.GetAsyncError(_communicator, &failure), "report its state");
            var isLate = Stopwatch.GetElapsedTime(since) > Timeout;
            if (failure != 0 || isLate)
            {
                _ = _nccl.CommAbort(_communicator);
                _nccl.Check(failure, what);
                // MPI knows who is missing.
                _host.Barrier();
                throw new CommunicationFailedException(FormattableString.Invariant($"Waited {Timeout.TotalSeconds:0.#} seconds for {_nccl.Version} to {what}; every rank answers by MPI. Go on with --resume."));
            }

            Thread.Yield();
        }
    }

    private static int TypeOf(Tensor values) => values.dtype switch
    {
        ScalarType.Byte => 1,
        ScalarType.Int64 => 4,
        ScalarType.Float32 => 7,
        ScalarType.Float64 => 8,
        var other => throw new ArgumentException($"Tensors of {other} are not sent.", nameof(values)),
    };

    private static int OperationOf(ReduceOperation operation) => operation switch
    {
        ReduceOperation.Sum => 0,
        ReduceOperation.Max => 2,
        _ => 3,
    };
}
