namespace CoFrGeNet.Server;

/// <summary>Questions about a model that wait for their turn, up to a limit. For several threads at once.</summary>
internal sealed class LookQueue
{
    private readonly List<ModelLook> _looks = [];
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
            Clean();
            if (_looks.Count >= _limit)
            {
                return false;
            }

            _looks.Add(look);
            return true;
        }
    }

    /// <summary>The next question, which stays; null: there is none.</summary>
    public ModelLook? Next()
    {
        lock (_looks)
        {
            Clean();
            return _looks.Count > 0 ? _looks[0] : null;
        }
    }

    /// <summary>Takes a question out that <see cref="Next"/> gave.</summary>
    /// <param name="look">The question.</param>
    public void Remove(ModelLook look)
    {
        lock (_looks)
        {
            _looks.Remove(look);
        }
    }

    // Those that nobody waits for any more do not wait either.
    private void Clean() => _looks.RemoveAll(look => look.Cancellation.IsCancellationRequested);
}
