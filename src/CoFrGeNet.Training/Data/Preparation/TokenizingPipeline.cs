using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using CoFrGeNet.Text;

namespace CoFrGeNet.Training;

/// <summary>
/// Encodes documents on several threads and gives them back in their order. What is under way is bounded by its length, so memory is too.
/// </summary>
internal sealed class TokenizingPipeline
{
    private const int BatchCharacters = 1 << 18;
    private const long MostCharacters = 24 << 20;

    private readonly ITokenizer _tokenizer;
    private readonly int _threads;
    private readonly object _gate = new();
    private long _underWay;

    /// <summary>Creates the pipeline.</summary>
    /// <param name="tokenizer">Encodes the documents.</param>
    /// <param name="threads">How many threads encode.</param>
    public TokenizingPipeline(ITokenizer tokenizer, int threads)
    {
        _tokenizer = tokenizer;
        _threads = threads;
    }

    /// <summary>Encodes documents.</summary>
    /// <param name="documents">Read on a thread of their own.</param>
    /// <param name="write">Receives each document and its ids, in their order, on the calling thread.</param>
    /// <param name="stop">Stops the work.</param>
    public void Run(IEnumerable<FeedDocument> documents, Action<FeedDocument, ReadOnlyMemory<int>> write, CancellationToken stop)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var toEncode = new BlockingCollection<Batch>();
        using var inOrder = new BlockingCollection<Batch>();
        var reader = Start(() => Feed(documents, toEncode, inOrder, end.Token));
        var encoders = Enumerable.Range(0, _threads).Select(_ => Start(() => Encode(toEncode, end.Token))).ToArray();
        try
        {
            foreach (var batch in inOrder.GetConsumingEnumerable(end.Token))
            {
                batch.Encoded.Task.Wait(end.Token);
                for (var i = 0; i < batch.Documents.Count; i++)
                {
                    var first = i == 0 ? 0 : batch.Ends[i - 1];
                    write(batch.Documents[i], batch.Ids.WrittenMemory[first..batch.Ends[i]]);
                }

                lock (_gate)
                {
                    _underWay -= batch.Characters;
                    Monitor.PulseAll(_gate);
                }
            }

            reader.GetAwaiter().GetResult();
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
        finally
        {
            end.Cancel();
            lock (_gate)
            {
                Monitor.PulseAll(_gate);
            }

            // They only use what is disposed after this.
            Task.WhenAll([reader, .. encoders]).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Wait(CancellationToken.None);
        }
    }

    private static Task Start(Action work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private void Feed(IEnumerable<FeedDocument> documents, BlockingCollection<Batch> toEncode, BlockingCollection<Batch> inOrder, CancellationToken end)
    {
        try
        {
            var batch = new Batch();
            foreach (var document in documents)
            {
                end.ThrowIfCancellationRequested();
                if (batch.Characters > 0 && batch.Characters + document.Text.Length > BatchCharacters)
                {
                    Send(batch, toEncode, inOrder, end);
                    batch = new Batch();
                }

                batch.Documents.Add(document);
                batch.Characters += document.Text.Length;
            }

            Send(batch, toEncode, inOrder, end);
        }
        finally
        {
            toEncode.CompleteAdding();
            inOrder.CompleteAdding();
        }
    }

    private void Send(Batch batch, BlockingCollection<Batch> toEncode, BlockingCollection<Batch> inOrder, CancellationToken end)
    {
        lock (_gate)
        {
            while (_underWay > 0 && _underWay + batch.Characters > MostCharacters)
            {
                end.ThrowIfCancellationRequested();
                Monitor.Wait(_gate);
            }

            _underWay += batch.Characters;
        }

        toEncode.Add(batch, end);
        inOrder.Add(batch, end);
    }

    // Whatever goes wrong in a batch is thrown where its result is waited for.
#pragma warning disable CA1031
    private void Encode(BlockingCollection<Batch> batches, CancellationToken end)
    {
        foreach (var batch in batches.GetConsumingEnumerable(end))
        {
            try
            {
                foreach (var document in batch.Documents)
                {
                    _tokenizer.Encode(document.Text, batch.Ids);
                    batch.Ends.Add(batch.Ids.WrittenCount);
                }

                batch.Encoded.SetResult();
            }
            catch (Exception e)
            {
                batch.Encoded.SetException(e);
            }
        }
    }
#pragma warning restore CA1031

    private sealed class Batch
    {
        public List<FeedDocument> Documents { get; } = [];

        public ArrayBufferWriter<int> Ids { get; } = new();

        public List<int> Ends { get; } = [];

        public long Characters { get; set; }

        public TaskCompletionSource Encoded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
