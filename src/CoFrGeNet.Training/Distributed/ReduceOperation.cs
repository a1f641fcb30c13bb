namespace CoFrGeNet.Training;

/// <summary>What an all-reduce makes of the ranks' values.</summary>
public enum ReduceOperation
{
    /// <summary>Their sum.</summary>
    Sum,

    /// <summary>The smallest.</summary>
    Min,

    /// <summary>The largest.</summary>
    Max,
}
