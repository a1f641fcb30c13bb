namespace CoFrGeNet.Inference;

/// <summary>Something that is done in pieces, in any order and by any thread. Objects of it are kept and used again, so that nothing is allocated.</summary>
internal abstract class Work
{
    /// <summary>Does one piece.</summary>
    /// <param name="piece">Which, from 0.</param>
    /// <param name="thread">Number of the thread in its team, from 0, for memory of its own.</param>
    public abstract void Run(int piece, int thread);
}
