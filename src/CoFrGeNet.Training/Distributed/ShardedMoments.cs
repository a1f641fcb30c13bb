using CoFrGeNet.Torch;
using CoFrGeNet.Weights;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// The optimizer's state of all ranks, gathered one tensor at a time while the first rank writes it, so that no rank ever holds all of it. Each rank takes part in every
/// tensor, in the same order.
/// </summary>
internal sealed class ShardedMoments
{
    private readonly RankGroup _ranks;
    private readonly GradientBuckets _buckets;
    private readonly IReadOnlyList<(string Name, string FileName, Parameter Parameter, Tensor Own)> _tensors;
    private int _next;

    /// <summary>Lists the tensors.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="buckets">Who has which part.</param>
    /// <param name="model">The model.</param>
    /// <param name="optimizer">This rank's state.</param>
    public ShardedMoments(RankGroup ranks, GradientBuckets buckets, LanguageModel model, AdamW optimizer)
    {
        (_ranks, _buckets) = (ranks, buckets);
        var parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        _tensors =
        [
            .. optimizer.State.SelectMany(entry => new[]
            {
                (entry.Name, CheckpointFolder.MeanName(entry.Name), parameters[entry.Name], entry.Mean),
                (entry.Name, CheckpointFolder.SquareName(entry.Name), parameters[entry.Name], entry.Square),
            }),
        ];
    }

    /// <summary>For the writer, on the first rank; to be written in this order.</summary>
    public IEnumerable<TensorEntry> Entries => _tensors.Select((tensor, index) => new TensorEntry(tensor.FileName, TensorDType.F32, tensor.Parameter.shape, stream =>
    {
        using var scope = NewDisposeScope();
        if (index != _next)
        {
            throw new InvalidOperationException($"Tensor {index} of the optimizer's state is written when {_next} is next.");
        }

        stream.Write(Gather().cpu().bytes);
    }));

    /// <summary>Takes part in what has not been gathered yet.</summary>
    public void GatherRest()
    {
        while (_next < _tensors.Count)
        {
            Gather().Dispose();
        }
    }

    private Tensor Gather()
    {
        var (name, _, parameter, own) = _tensors[_next++];
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var whole = zeros(parameter.numel(), device: own.device);
        for (var rank = 0; rank < _ranks.Size; rank++)
        {
            if (_buckets.Range(name, parameter, rank) is { Count: > 0 } range)
            {
                var part = whole.narrow(0, range.First, range.Count);
                if (rank == _ranks.Rank)
                {
                    part.copy_(own);
                }

                _ranks.Broadcast(part, rank);
            }
        }

        return whole.MoveToOuterDisposeScope();
    }
}
