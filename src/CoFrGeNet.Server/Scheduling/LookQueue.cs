namespace CoFrGeNet.Server;

/// <summary>Questions about a model that wait for their turn, up to a limit. For several threads at once.</summary>
internal sealed class LookQueue
{
    private readonly Queue<ModelLook> _looks = [];
    private readonly int _limit;

    /// <summary>Creates a queue.</summary>
    /// <param name="limit">Most questions that wait.</param>
    public LookQueue(int limit) => _limit = limit;

    /// <summary>Adds a question.</summary>
    /// <returns>False: the queue is full.</returns>
    public bool TryAdd(ModelLook look)
    {
        lock (_looks)
        {
            if (_looks.Count >= _limit)
            {
                return false;
            }

            _looks.Enqueue(look);
            return true;
        }
    }

    /// <summary>The next question, which stays; those that nobody waits for are forgotten. Null: there is none.</summary>
    public ModelLook? Next()
    {
        lock (_looks)
        {
            while (_looks.TryPeek(out var look))
            {
                if (!look.Cancellation.IsCancellationRequested)
                {
                    return look;
                }

                _looks.Dequeue();
            }

            return null;
        }
    }

    /// <summary>Takes a question out that <see cref="Next"/> gave.</summary>
    /// <param name="look">The question.</param>
    public void Remove(ModelLook look)
    {
        lock (_looks)
        {
            if (_looks.TryPeek(out var first) && first == look)
            {
                _looks.Dequeue();
            }
        }
    }
}
