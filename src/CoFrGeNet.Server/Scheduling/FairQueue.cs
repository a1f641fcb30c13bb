namespace CoFrGeNet.Server;

/// <summary>
/// Requests that wait for a slot, up to a limit. They take turns, one sequence each: a request with a hundred prompts does not hold up one with a single prompt.
/// For several threads at once.
/// </summary>
internal sealed class FairQueue
{
    private readonly Lock _lock = new();
    private readonly LinkedList<GenerationJob> _ring = new();
    private readonly int _limit;

    /// <summary>Creates a queue.</summary>
    /// <param name="limit">Most requests that wait.</param>
    public FairQueue(int limit) => _limit = limit;

    /// <summary>Requests that wait.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _ring.Count;
            }
        }
    }

    /// <summary>Adds a request.</summary>
    /// <param name="job">The request.</param>
    /// <param name="free">Slots that wait for requests: so many more than the limit are taken.</param>
    /// <returns>False: the queue is full.</returns>
    public bool TryAdd(GenerationJob job, int free = 0)
    {
        lock (_lock)
        {
            if (_ring.Count - free >= _limit)
            {
                return false;
            }

            _ring.AddLast(job);
            return true;
        }
    }

    /// <summary>Takes the next sequence.</summary>
    /// <param name="fits">Whether there is room for it; while there is not, none overtakes it.</param>
    /// <returns>The sequence, or null where none waits or fits.</returns>
    public SequenceWork? Take(Func<SequenceWork, bool> fits)
    {
        lock (_lock)
        {
            if (_ring.First?.Value is not { } job || !fits(job.Sequences[job.Taken]))
            {
                return null;
            }

            _ring.RemoveFirst();
            var sequence = job.Sequences[job.Taken++];
            if (job.Taken < job.Sequences.Count)
            {
                _ring.AddLast(job);
            }

            return sequence;
        }
    }

    /// <summary>Forgets requests that nobody waits for any more.</summary>
    /// <returns>The requests forgotten.</returns>
    public IReadOnlyList<GenerationJob> RemoveOver()
    {
        List<GenerationJob> over = [];
        lock (_lock)
        {
            for (var node = _ring.First; node is not null;)
            {
                var next = node.Next;
                if (node.Value.IsOver)
                {
                    over.Add(node.Value);
                    _ring.Remove(node);
                }

                node = next;
            }
        }

        return over;
    }

    /// <summary>Takes all requests out.</summary>
    public IReadOnlyList<GenerationJob> Clear()
    {
        lock (_lock)
        {
            var all = _ring.ToArray();
            _ring.Clear();
            return all;
        }
    }
}
