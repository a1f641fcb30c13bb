using System.Threading.Channels;

namespace CoFrGeNet.Server;

/// <summary>What one request asks of a model: sequences, and the events that their computation gives. A reader that is slow delays nobody: events wait in the job.</summary>
internal sealed class GenerationJob
{
    private readonly Channel<SequenceEvent> _events = Channel.CreateUnbounded<SequenceEvent>(new UnboundedChannelOptions { SingleReader = true });
    private volatile bool _failed;
    private int _open;

    /// <summary>Creates a job.</summary>
    /// <param name="prompts">Its prompts; each holds its sequences.</param>
    /// <param name="cancellation">Is cancelled when nobody waits for the answer any more.</param>
    public GenerationJob(IReadOnlyList<PromptWork> prompts, CancellationToken cancellation)
    {
        Sequences = [.. prompts.SelectMany(prompt => prompt.Choices.Select((sampler, i) => new SequenceWork(this, prompt, prompt.FirstChoice + i, sampler)))];
        Cancellation = cancellation;
        _open = Sequences.Count;
    }

    /// <summary>Its sequences, in the order of their index.</summary>
    public IReadOnlyList<SequenceWork> Sequences { get; }

    /// <summary>Is cancelled when nobody waits for the answer any more.</summary>
    public CancellationToken Cancellation { get; }

    /// <summary>When it came, for <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public long Started { get; } = System.Diagnostics.Stopwatch.GetTimestamp();

    /// <summary>How many of <see cref="Sequences"/> were taken from the queue.</summary>
    public int Taken { get; set; }

    /// <summary>What happens, in order within each sequence; throws what ended the job before its time.</summary>
    public ChannelReader<SequenceEvent> Events => _events.Reader;

    /// <summary>Whether nobody waits for it any more, or it has failed.</summary>
    public bool IsOver => _failed || Cancellation.IsCancellationRequested;

    /// <summary>Hands out what happened.</summary>
    public void Publish(SequenceEvent what) => _events.Writer.TryWrite(what);

    /// <summary>Ends one sequence; with the last one the job ends.</summary>
    public void Close()
    {
        if (--_open == 0)
        {
            _events.Writer.TryComplete();
        }
    }

    /// <summary>Ends the job before its time.</summary>
    /// <param name="error">What its reader shall see.</param>
    public void Fail(Exception error)
    {
        _failed = true;
        _events.Writer.TryComplete(error);
    }
}
