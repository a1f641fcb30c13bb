namespace CoFrGeNet.Inference;

/// <summary>Softmax attention of some queries of one sequence and one key-value head over pages of keys and values.</summary>
internal unsafe struct AttentionCall
{
    /// <summary>Pages of keys.</summary>
    public nint* KeyPages;

    /// <summary>Where a page's keys of the head begin: 4 blocks of 16 positions, each [s, 16].</summary>
    public nint KeyOffset;

    /// <summary>Width s of queries and keys.</summary>
    public int KeySize;

    /// <summary>Pages of values.</summary>
    public nint* ValuePages;

    /// <summary>Where a page's values of the head begin: [64, <see cref="ValueStride"/>].</summary>
    public nint ValueOffset;

    /// <summary>Width of values.</summary>
    public int ValueSize;

    /// <summary>From a position's values to the next, whole registers.</summary>
    public int ValueStride;

    /// <summary>Factor on the scores.</summary>
    public float Scale;

    /// <summary>Of a sparse pattern: how many of the latest tokens are seen; 0: all.</summary>
    public int Window;

    /// <summary>Of a sparse pattern: every how many tokens one is seen from everywhere.</summary>
    public int Stride;

    /// <summary>The query of the first row.</summary>
    public float* Queries;

    /// <summary>From a token's queries to the next token's.</summary>
    public nint QueryStride;

    /// <summary>Where the first row's result goes.</summary>
    public float* Y;

    /// <summary>From a token's results to the next token's.</summary>
    public nint YStride;

    /// <summary>Query heads that share the key-value head; a row is a token and one of them, heads first.</summary>
    public int Group;

    /// <summary>Position of the first token.</summary>
    public int Position;

    /// <summary>Working memory: scores of four rows, then results of four rows.</summary>
    public float* Room;

    /// <summary>From a row's scores to the next.</summary>
    public int ScoreStride;
}
