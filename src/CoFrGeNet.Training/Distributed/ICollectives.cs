namespace CoFrGeNet.Training;

/// <summary>
/// What several processes do together. Each of them calls the same members in the same order with tensors of the same size; a call returns when this process may use
/// the result. Tensors are contiguous, of float32, float64, int64 or uint8. All calls come from one thread.
/// </summary>
public interface ICollectives : IDisposable
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>Number of processes.</summary>
    int Size { get; }

    /// <summary>The library and its version.</summary>
    string Name { get; }

    /// <summary>How long a call waits for the others.</summary>
    TimeSpan Timeout { get; set; }

    /// <summary>The host of a rank.</summary>
    /// <param name="rank">The rank.</param>
    string Host(int rank);

    /// <summary>Combines a tensor of every rank, element by element, in place; all get the same bits.</summary>
    /// <param name="values">Changed.</param>
    /// <param name="operation">How.</param>
    /// <exception cref="CommunicationFailedException">Another rank did not come, or the library failed.</exception>
    void AllReduce(Tensor values, ReduceOperation operation);

    /// <summary>Sums a tensor of every rank; each gets a part.</summary>
    /// <param name="values">[n x m] for n ranks.</param>
    /// <param name="part">[m]: elements rank m .. rank m + m - 1 of the sum.</param>
    /// <exception cref="CommunicationFailedException">Another rank did not come, or the library failed.</exception>
    void ReduceScatter(Tensor values, Tensor part);

    /// <summary>Completes a tensor of which every rank has a part.</summary>
    /// <param name="values">[n x m] for n ranks; elements rank m .. rank m + m - 1 are given, the others are overwritten.</param>
    /// <exception cref="CommunicationFailedException">Another rank did not come, or the library failed.</exception>
    void AllGather(Tensor values);

    /// <summary>Copies a tensor of one rank to all.</summary>
    /// <param name="values">Given at the root, overwritten elsewhere.</param>
    /// <param name="root">Whose it is.</param>
    /// <exception cref="CommunicationFailedException">Another rank did not come, or the library failed.</exception>
    void Broadcast(Tensor values, int root);

    /// <summary>Waits until every rank is here.</summary>
    /// <exception cref="CommunicationFailedException">Another rank did not come, or the library failed.</exception>
    void Barrier();

    /// <summary>Called while there is nothing to do, so that this process can answer whether it is alive.</summary>
    void Idle();

    /// <summary>Ends all processes of the job. May return before they have ended.</summary>
    /// <param name="exitCode">The job's exit code.</param>
    void Abort(int exitCode);
}
