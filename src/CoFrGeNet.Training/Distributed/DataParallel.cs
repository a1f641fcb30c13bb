using System.Security.Cryptography;
using System.Text.Json;
using CoFrGeNet.Torch;
using CoFrGeNet.Weights;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// What a trainer does together with those of other ranks: its windows of a step, gradients and figures over all ranks, checkpoints as one process writes them. In a single
/// process each member does what there is to do without others.
/// </summary>
internal sealed class DataParallel : IDisposable
{
    private readonly RankGroup _ranks;
    private readonly LanguageModel _model;
    private readonly GradientBuckets? _buckets;
    private readonly OutputRange[] _ranges;
    private readonly bool _isSharded;
    private bool _hasReserved;

    /// <summary>Brings the ranks to the same weights.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="model">The model, made with the run's seed.</param>
    /// <param name="groups">Its parameters.</param>
    /// <param name="config">How it is trained.</param>
    public DataParallel(RankGroup ranks, LanguageModel model, IReadOnlyList<ComponentGroup> groups, TrainingConfig config)
    {
        (_ranks, _model) = (ranks, model);
        _ranges = [.. model.modules().OfType<OutputRange>()];
        if (ranks.Size > 1)
        {
            ranks.Timeout = TimeSpan.FromSeconds(config.Distributed.TimeoutSeconds);
            _isSharded = config.Distributed.Sharding == Sharding.Optimizer;
            _buckets = new GradientBuckets(ranks, model, groups, config);
            // Drawing them may round differently on another processor.
            ShareWeights();
        }
    }

    /// <summary>What this rank updates; null: everything.</summary>
    public IParameterShares? Shares => _buckets;

    /// <summary>What sending gradients cost; null in a single process.</summary>
    public CommunicationTime? Time => _buckets?.Time;

    /// <summary>Checks that the sequences of a step can be dealt out.</summary>
    /// <param name="config">The run.</param>
    /// <param name="ranks">Number of ranks.</param>
    /// <exception cref="UserErrorException">They cannot.</exception>
    public static void CheckFit(RunConfig config, int ranks)
    {
        var length = config.Training.ResolveSequenceLength(config.Model);
        var sequences = config.Training.TokensPerStep / length;
        if (sequences % ranks != 0)
        {
            throw new UserErrorException(
                $"training.tokensPerStep is {config.Training.TokensPerStep}, {sequences} sequences of {length}; {ranks} ranks share them, so allowed is a multiple of {(long)ranks * length}.");
        }
    }

    /// <summary>Sequences in one forward pass of a rank: as in a single process, or less where its sequences are fewer.</summary>
    /// <param name="config">The run.</param>
    /// <param name="ranks">Number of ranks.</param>
    public static int MicroBatch(RunConfig config, int ranks)
    {
        var share = config.Training.TokensPerStep / config.Training.ResolveSequenceLength(config.Model) / ranks;
        var most = Math.Min(share, config.Training.ResolveMicroBatch(config.Model));
        return Enumerable.Range(1, most).Last(size => share % size == 0);
    }

    /// <summary>Prepares the gradients of a step: buckets of them, or before the first step of a single process room for them and for the optimizer's state.</summary>
    /// <param name="optimizer">The optimizer.</param>
    public void BeginStep(AdamW optimizer)
    {
        if (_buckets is not null)
        {
            _buckets.Prepare();
        }
        else if (!_hasReserved)
        {
            optimizer.Reserve();
            _hasReserved = true;
        }
    }

    /// <summary>Says that the next backward pass completes the step's gradients.</summary>
    public void BeginLastPart() => _buckets?.SendDuringBackward();

    /// <summary>Waits until the gradients are sums over all ranks.</summary>
    public void CompleteGradients() => _buckets?.Complete();

    /// <summary>Hands on what the optimizer has updated.</summary>
    public void CompleteUpdate() => _buckets?.ShareValues();

    /// <summary>The mean of a figure over all ranks.</summary>
    /// <param name="value">This rank's.</param>
    public double Mean(double value) => _buckets is null ? value : _ranks.AllReduce([value])[0] / _ranks.Size;

    /// <summary>What all ranks saw of their poles.</summary>
    /// <param name="reports">This rank's.</param>
    public List<PoleReport> Merge(List<PoleReport> reports)
    {
        if (_buckets is null || reports.Count == 0)
        {
            return reports;
        }

        var guarded = _ranks.AllReduce([.. reports.Select(report => report.GuardedShare)]);
        var smallest = _ranks.AllReduce([.. reports.Select(report => report.MinDenominator)], ReduceOperation.Min);
        return [.. reports.Select((report, i) => report with { GuardedShare = guarded[i] / _ranks.Size, MinDenominator = smallest[i] })];
    }

    /// <summary>Widens the trained ranges of outputs by what the other ranks saw, before they are used or saved.</summary>
    public void ShareRanges()
    {
        if (_buckets is null || _ranges.Length == 0)
        {
            return;
        }

        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        Tensor[] all = [.. _ranges.Select(range => range.Low), .. _ranges.Select(range => range.High)];
        // One message: the smallest of the negated is the negated largest.
        var values = cat([.. all.Select((tensor, i) => i < _ranges.Length ? tensor.flatten() : -tensor.flatten())]);
        _ranks.AllReduce(values, ReduceOperation.Min);
        var offset = 0L;
        for (var i = 0; i < all.Length; i++)
        {
            var part = values.narrow(0, offset, all[i].numel()).view(all[i].shape);
            all[i].copy_(i < _ranges.Length ? part : -part);
            offset += all[i].numel();
        }
    }

    /// <summary>Saves a checkpoint, which does not show how many ranks there were.</summary>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="save">Writes it with the optimizer's state, on the first rank.</param>
    /// <exception cref="CommunicationFailedException">The weights of the ranks are not equal.</exception>
    public void Save(AdamW optimizer, Action<IEnumerable<TensorEntry>> save)
    {
        RequireEqualWeights();
        if (!_isSharded)
        {
            _ranks.OnFirst(() => save(CheckpointFolder.Entries(optimizer.State)));
            return;
        }

        var moments = new ShardedMoments(_ranks, _buckets!, _model, optimizer);
        Exception? failure = null;
        if (_ranks.IsFirst)
        {
#pragma warning disable CA1031 // The others must be served first.
            try
            {
                save(moments.Entries);
            }
            catch (Exception error) when (error is not CommunicationFailedException)
            {
                failure = error;
            }
#pragma warning restore CA1031
        }

        moments.GatherRest();
        _ranks.OnFirst(() =>
        {
            if (failure is not null)
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
            }
        });
    }

    /// <summary>Goes on from a checkpoint that the first rank reads.</summary>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="load">Loads the model and hands the optimizer's state on; null: there is no checkpoint.</param>
    public CheckpointState? Resume(AdamW optimizer, Func<Action<IReadOnlyList<(string Name, Tensor Mean, Tensor Square, long Steps)>>, CheckpointState?> load)
    {
        if (_buckets is null)
        {
            return load(optimizer.Restore);
        }

        CheckpointState? state = null;
        using var scope = NewDisposeScope();
        var known = new Dictionary<string, (Tensor Mean, Tensor Square)>();
        _ranks.OnFirst(() => state = load(moments =>
        {
            foreach (var (name, mean, square, _) in moments)
            {
                known[name] = (mean.MoveToOuterDisposeScope(), square.MoveToOuterDisposeScope());
            }
        }));
        var text = _ranks.Broadcast(state is null ? string.Empty : JsonSerializer.Serialize(state, TrainingJsonContext.Default.CheckpointState));
        if (text.Length == 0)
        {
            return null;
        }

        state ??= JsonSerializer.Deserialize(text, TrainingJsonContext.Default.CheckpointState)!;
        ShareWeights();
        var parameters = _model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        optimizer.Restore([.. state.ParameterSteps.Select(entry =>
        {
            var parameter = parameters[entry.Key];
            var (mean, square) = known.TryGetValue(entry.Key, out var given) ? given : (zeros_like(parameter, requires_grad: false), zeros_like(parameter, requires_grad: false));
            return (entry.Key, Own(entry.Key, parameter, mean), Own(entry.Key, parameter, square), entry.Value);
        })]);
        return state;
    }

    /// <inheritdoc/>
    public void Dispose() => _buckets?.Dispose();

    private Tensor Own(string name, Parameter parameter, Tensor whole)
    {
        _ranks.Broadcast(whole);
        if (!_isSharded)
        {
            return whole;
        }

        var range = _buckets!.Range(name, parameter, _ranks.Rank);
        using (whole)
        {
            return whole.flatten().narrow(0, range.First, range.Count).clone();
        }
    }

    private void ShareWeights()
    {
        using var quiet = no_grad();
        foreach (var (_, tensor) in TensorWeights.Of(_model))
        {
            using var values = tensor.detach();
            _ranks.Broadcast(values);
        }
    }

    // They should be: a checkpoint is the place to notice that a machine miscalculates.
    private void RequireEqualWeights()
    {
        if (_buckets is null)
        {
            return;
        }

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (_, tensor) in TensorWeights.Of(_model))
        {
            using var scope = NewDisposeScope();
            hash.AppendData(tensor.detach().cpu().contiguous().bytes);
        }

        var hashes = _ranks.Gather(Convert.ToHexString(hash.GetHashAndReset()));
        if (Enumerable.Range(0, hashes.Count).FirstOrDefault(rank => hashes[rank] != hashes[0]) is > 0 and var other)
        {
            throw new CommunicationFailedException(
                $"The weights of {_ranks.Describe(other)} are not those of {_ranks.Describe(0)}, so no checkpoint was written: one of the two miscalculates, or runs another version of a library. Go on from the last checkpoint with --resume.");
        }
    }
}
