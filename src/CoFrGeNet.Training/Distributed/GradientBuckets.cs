using System.Diagnostics;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// The gradients of a model in flat blocks, which are sums over all ranks when a backward pass has ended. A block is on its way while the pass still works on earlier
/// layers. The gradient of each parameter is a view of its block, so nothing is copied.
/// </summary>
internal sealed class GradientBuckets : IParameterShares, IDisposable
{
    private readonly RankGroup _ranks;
    private readonly LanguageModel _model;
    private readonly bool _isSharded;
    private readonly IReadOnlyList<(string Name, Parameter Parameter)> _parameters;
    private readonly Bucket[] _buckets;
    private readonly Dictionary<string, (Bucket Bucket, long Offset)> _places = [];
    private readonly List<Task> _sent = [];
    private IReadOnlyList<Bucket> _active = [];
    private int _next;
    private long _sending;
    private long _waiting;

    /// <summary>Lays the gradients out.</summary>
    /// <param name="ranks">The ranks; two or more.</param>
    /// <param name="model">The model.</param>
    /// <param name="groups">Its parameters.</param>
    /// <param name="config">How it is trained.</param>
    public GradientBuckets(RankGroup ranks, LanguageModel model, IReadOnlyList<ComponentGroup> groups, TrainingConfig config)
    {
        (_ranks, _model) = (ranks, model);
        _isSharded = config.Distributed.Sharding == Sharding.Optimizer;
        _parameters = [.. groups.SelectMany(group => group.Parameters)];
        var phases = Phases(model, config);
        var known = groups.SelectMany(group => group.Parameters.Select(entry =>
            new BucketParameter(entry.Parameter.numel(), Layer(group, model), phases.GetValueOrDefault(entry.Parameter.Handle)))).ToArray();
        var elements = (long)(config.Distributed.BucketMegabytes * (1 << 20) / sizeof(float));
        _buckets = [.. BucketLayout.Create(known, elements, ranks.Size).Select(layout => new Bucket(layout))];
        foreach (var bucket in _buckets)
        {
            foreach (var (parameter, offset) in bucket.Layout.Entries)
            {
                _places[_parameters[parameter].Name] = (bucket, offset);
            }
        }
    }

    /// <summary>How long gradients were under way since the start, and how long the training waited for them.</summary>
    public CommunicationTime Time => new(Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _sending)), Stopwatch.GetElapsedTime(0, _waiting));

    /// <summary>Prepares a step: parameters that are trained from now on get a place for their gradient, frozen ones are left out.</summary>
    public void Prepare()
    {
        foreach (var bucket in _buckets.Where(bucket => bucket.Flat is null && IsTrained(bucket)))
        {
            bucket.Flat = zeros(bucket.Layout.Elements, device: _model.Device).DetachFromDisposeScope();
            bucket.Part = _isSharded ? zeros(bucket.Layout.Elements / _ranks.Size, device: _model.Device).DetachFromDisposeScope() : null;
            foreach (var (index, offset) in bucket.Layout.Entries)
            {
                using var scope = NewDisposeScope();
                var parameter = _parameters[index].Parameter;
                parameter.grad = bucket.Flat.narrow(0, offset, parameter.numel()).view(parameter.shape);
            }
        }

        _active = [.. _buckets.Where(IsTrained)];
        _next = 0;
    }

    /// <summary>Sends each block as soon as the next backward pass has completed it; called before the forward pass of a step's last part.</summary>
    public void SendDuringBackward() => _model.LayerDone = Send;

    /// <summary>Sends what is left after the backward pass and waits for all: gradients, or this rank's part of them, are sums over all ranks then.</summary>
    public void Complete()
    {
        _model.LayerDone = null;
        Send(-1);
        WaitFor(_sent);
        _sent.Clear();
    }

    /// <inheritdoc/>
    public Tensor Values(string name, Parameter parameter)
    {
        if (!_isSharded)
        {
            return parameter;
        }

        var range = Range(name, parameter, _ranks.Rank);
        return parameter.flatten().narrow(0, range.First, range.Count);
    }

    /// <inheritdoc/>
    public Tensor? Gradient(string name, Parameter parameter)
    {
        if (!_isSharded)
        {
            return parameter.grad;
        }

        var (bucket, offset) = _places[name];
        var range = Range(name, parameter, _ranks.Rank);
        // Where the parameter's part begins in this rank's part of the bucket.
        var first = range.Count == 0 ? 0 : offset + range.First - (_ranks.Rank * bucket.Part?.numel() ?? 0);
        return parameter.requires_grad ? bucket.Part?.narrow(0, first, range.Count) : null;
    }

    /// <inheritdoc/>
    public double[] Total(double[] sums)
    {
        if (_isSharded)
        {
            return _ranks.AllReduce(sums);
        }

        // All have the same gradients, but the norm's rounding may depend on the processor and on the number of threads.
        using var first = tensor(sums);
        _ranks.Broadcast(first);
        return first.data<double>().ToArray();
    }

    /// <summary>Hands the updated parts of parameters to all ranks.</summary>
    public void ShareValues()
    {
        if (!_isSharded)
        {
            return;
        }

        using var quiet = no_grad();
        // The gradients have been used, so their blocks are free to carry the weights.
        var sent = new List<Task>();
        foreach (var bucket in _active)
        {
            Copy(bucket, toBucket: true);
            sent.Add(_ranks.Post(on => on.AllGather(bucket.Flat!), _model.Device));
        }

        foreach (var (bucket, task) in _active.Zip(sent))
        {
            task.GetAwaiter().GetResult();
            Copy(bucket, toBucket: false);
        }
    }

    /// <summary>The elements of a parameter that a rank updates.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="parameter">The parameter.</param>
    /// <param name="rank">The rank.</param>
    public ElementRange Range(string name, Parameter parameter, int rank)
    {
        if (!_isSharded)
        {
            return new ElementRange(0, parameter.numel());
        }

        var (bucket, offset) = _places[name];
        return BucketLayout.Part(bucket.Layout, offset, parameter.numel(), rank, _ranks.Size);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var bucket in _buckets)
        {
            bucket.Flat?.Dispose();
            bucket.Part?.Dispose();
        }
    }

    // A ladder level that a schedule unfreezes later is a phase of its own.
    private static Dictionary<nint, int> Phases(LanguageModel model, TrainingConfig config) => config.LadderSchedule == LadderSchedule.None
        ? []
        : model.modules().OfType<ILadderLayer>()
            .SelectMany(layer => layer.LevelParameters.SelectMany((level, k) => level.Select(parameter => (parameter.Handle, Phase: k + 1))))
            .ToDictionary(entry => entry.Handle, entry => entry.Phase);

    private static int Layer(ComponentGroup group, LanguageModel model) => group.Layer ?? (group.Component == Component.Embedding ? -1 : model.Blocks.Count);

    private bool IsTrained(Bucket bucket) => _parameters[bucket.Layout.Entries[0].Parameter].Parameter.requires_grad;

    // In the same order on every rank, whatever layer is done first.
    private void Send(int layer)
    {
        while (_next < _active.Count && _active[_next].Layout.ReadyLayer >= layer)
        {
            var bucket = _active[_next++];
            _sent.Add(_ranks.Post(on => Reduce(on, bucket), _model.Device));
        }
    }

    private void Reduce(ICollectives on, Bucket bucket)
    {
        var since = Stopwatch.GetTimestamp();
        if (bucket.Part is { } part)
        {
            on.ReduceScatter(bucket.Flat!, part);
        }
        else
        {
            on.AllReduce(bucket.Flat!, ReduceOperation.Sum);
        }

        Interlocked.Add(ref _sending, Stopwatch.GetTimestamp() - since);
    }

    private void WaitFor(IEnumerable<Task> tasks)
    {
        var since = Stopwatch.GetTimestamp();
        foreach (var task in tasks)
        {
            task.GetAwaiter().GetResult();
        }

        _waiting += Stopwatch.GetTimestamp() - since;
    }

    private void Copy(Bucket bucket, bool toBucket)
    {
        foreach (var (index, offset) in bucket.Layout.Entries)
        {
            using var scope = NewDisposeScope();
            var (name, parameter) = _parameters[index];
            var values = parameter.detach().flatten();
            if (!toBucket)
            {
                values.copy_(bucket.Flat!.narrow(0, offset, values.numel()));
            }
            else if (Range(name, parameter, _ranks.Rank) is { Count: > 0 } own)
            {
                bucket.Flat!.narrow(0, offset + own.First, own.Count).copy_(values.narrow(0, own.First, own.Count));
            }
        }
    }

    private sealed class Bucket(GradientBucket layout)
    {
        public GradientBucket Layout { get; } = layout;

        public Tensor? Flat { get; set; }

        public Tensor? Part { get; set; }
    }
}
