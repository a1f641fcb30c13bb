using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.Distributed;

/// <summary>
/// Ranks that are threads of one process: the same calls as between processes, without any library. Each operation waits for all ranks; a slow network can be imitated.
/// </summary>
internal sealed class ThreadLink
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _firstHasBegun = new();
    private Round _round;

    public ThreadLink(int size)
    {
        Size = size;
        _round = new Round(size);
    }

    public int Size { get; }

    /// <summary>How long an operation waits for the other ranks.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Bytes a second that an operation takes on top of the work; infinite: none.</summary>
    public double BytesPerSecond { get; set; } = double.PositiveInfinity;

    /// <summary>Bytes of tensors of each length that were reduced.</summary>
    public Dictionary<long, int> Reduced { get; } = [];

    /// <summary>Runs the same work on all ranks and gives what each returned; the first failure is thrown.</summary>
    public IReadOnlyList<T> Run<T>(Func<RankGroup, T> work)
    {
        var outcomes = RunAll(work);
        return [.. outcomes.Select(outcome => outcome.Failure is null ? outcome.Result! : throw new InvalidOperationException("A rank failed.", outcome.Failure))];
    }

    /// <summary>Runs the same work on all ranks and gives what each returned or threw.</summary>
    public IReadOnlyList<(T? Result, Exception? Failure)> RunAll<T>(Func<RankGroup, T> work)
    {
        var outcomes = new (T?, Exception?)[Size];
        // The ranks are the threads: more of them would only wait for each other.
        var threadsOfTorch = get_num_threads();
        set_num_threads(1);
        var threads = Enumerable.Range(0, Size).Select(rank => new Thread(() =>
        {
            try
            {
                set_num_threads(1);
                if (rank > 0)
                {
                    // libtorch has one random generator a process, and the first rank's draws must not be disturbed.
                    _firstHasBegun.Task.Wait();
                }

                using var ranks = new RankGroup(() => new Collectives(this, rank));
                outcomes[rank] = (work(ranks), null);
            }
            catch (Exception error)
            {
                outcomes[rank] = (default, error);
            }
            finally
            {
                _firstHasBegun.TrySetResult();
            }
        })).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        set_num_threads(threadsOfTorch);
        return outcomes;
    }

    // The last rank that comes does the work for all.
    private void Meet(int rank, Tensor? values, Action<Tensor[]> work, long bytes)
    {
        _firstHasBegun.TrySetResult();
        Round round;
        lock (_gate)
        {
            round = _round;
            round.Values[rank] = values;
            if (++round.Present < Size)
            {
                round = _round;
            }
            else
            {
                _round = new Round(Size);
                try
                {
                    using var scope = NewDisposeScope();
                    using var quiet = no_grad();
                    work([.. round.Values.OfType<Tensor>()]);
                    if (double.IsFinite(BytesPerSecond))
                    {
                        Thread.Sleep(TimeSpan.FromSeconds(bytes / BytesPerSecond));
                    }

                    round.Done.SetResult();
                }
                catch (Exception error)
                {
                    round.Done.SetException(error);
                    throw;
                }

                return;
            }
        }

        if (!round.Done.Task.Wait(Timeout))
        {
            var missing = Enumerable.Range(0, Size).Where(other => round.Values[other] is null && other != rank);
            throw new CommunicationFailedException($"missing: {string.Join(", ", missing)}");
        }
    }

    private sealed class Round(int size)
    {
        public Tensor?[] Values { get; } = new Tensor?[size];

        public int Present { get; set; }

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class Collectives(ThreadLink link, int rank) : ICollectives
    {
        private readonly Tensor _nothing = zeros(1);

        public int Rank => rank;

        public int Size => link.Size;

        public string Name => "threads";

        // That of the link, which a test chooses.
        public TimeSpan Timeout { get; set; }

        public string Host(int rank) => $"thread {rank}";

        public void AllReduce(Tensor values, ReduceOperation operation) => link.Meet(rank, values, all =>
        {
            var result = all[0].clone();
            foreach (var other in all.Skip(1))
            {
                result = operation switch
                {
                    ReduceOperation.Sum => result.add_(other),
                    ReduceOperation.Min => minimum(result, other),
                    _ => maximum(result, other),
                };
            }

            foreach (var tensor in all)
            {
                tensor.copy_(result);
            }

            Count(values);
        }, Bytes(values));

        public void ReduceScatter(Tensor values, Tensor part)
        {
            // Each takes its part of a sum that stands in the first one's tensor.
            Tensor? sum = null;
            link.Meet(rank, values, all =>
            {
                foreach (var other in all.Skip(1))
                {
                    all[0].add_(other);
                }

                foreach (var other in all.Skip(1))
                {
                    other.copy_(all[0]);
                }

                Count(values);
            }, Bytes(values));
            using var quiet = no_grad();
            sum = values.narrow(0, rank * part.numel(), part.numel());
            part.copy_(sum);
            sum.Dispose();
        }

        public void AllGather(Tensor values) => link.Meet(rank, values, all =>
        {
            var part = values.numel() / link.Size;
            for (var source = 0; source < all.Length; source++)
            {
                foreach (var target in all)
                {
                    target.narrow(0, source * part, part).copy_(all[source].narrow(0, source * part, part));
                }
            }
        }, Bytes(values));

        public void Broadcast(Tensor values, int root) => link.Meet(rank, values, all =>
        {
            foreach (var tensor in all)
            {
                if (!ReferenceEquals(tensor, all[root]))
                {
                    tensor.copy_(all[root]);
                }
            }
        }, Bytes(values));

        public void Barrier() => link.Meet(rank, _nothing, _ => { }, 0);

        public void Idle()
        {
        }

        public void Abort(int exitCode) => throw new InvalidOperationException($"aborted with {exitCode}");

        public void Dispose() => _nothing.Dispose();

        private static long Bytes(Tensor values) => values.numel() * values.ElementSize;

        private void Count(Tensor values) => link.Reduced[values.numel()] = link.Reduced.GetValueOrDefault(values.numel()) + 1;
    }
}
