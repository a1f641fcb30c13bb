using System.Text.Json.Serialization.Metadata;
using CoFrGeNet.Client;

namespace CoFrGeNet.Server;

/// <summary>What the scheduler does for a request, in the words of one API.</summary>
/// <typeparam name="TPart">What one happening adds to one choice.</typeparam>
/// <typeparam name="TChunk">One event of a stream.</typeparam>
/// <typeparam name="TWhole">The answer in one piece.</typeparam>
internal interface IAnswer<TPart, TChunk, TWhole>
{
    /// <summary>How an event of a stream is written.</summary>
    JsonTypeInfo<TChunk> ChunkType { get; }

    /// <summary>How a whole answer is written.</summary>
    JsonTypeInfo<TWhole> WholeType { get; }

    /// <summary>What was computed so far.</summary>
    Usage Usage { get; }

    /// <summary>Why each choice ended; null for one that has not.</summary>
    IReadOnlyList<string?> Finish { get; }

    /// <summary>The parts of the answer that an event adds; none while text is held back.</summary>
    /// <param name="what">The event.</param>
    IEnumerable<TPart> Take(SequenceEvent what);

    /// <summary>One event of a stream.</summary>
    /// <param name="parts">What is new; empty at the end of a stream.</param>
    /// <param name="usage">What was computed, at the end of a stream only.</param>
    TChunk Chunk(IReadOnlyList<TPart> parts, Usage? usage = null);

    /// <summary>The whole answer.</summary>
    /// <param name="parts">All parts of all choices.</param>
    TWhole Whole(IEnumerable<TPart> parts);
}
