using System.Diagnostics;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary>
/// Owns a model: one thread that computes, in each pass, one token of every running sequence and a part of the prompts that are being read. Sequences join and leave between passes.
/// What a sequence says depends on its own request alone, since engines compute each sequence as if it were alone, prompts are cut by their own length, and each draws with its own seed.
/// </summary>
internal sealed partial class Scheduler : IDisposable
{
    // Tokens of prompts a pass: more would make the streams wait, less would make prompts slow.
    private const int PromptTokensAPass = 512;
    private const int ScoredTokensAlone = 8192;
    private const int DrawsWorthSharing = 4;
    private const int MostLooks = 16;

    private readonly ServedModel _model;
    private readonly ServerMetrics _metrics;
    private readonly ILogger _log;
    private readonly int _slots;
    private readonly FairQueue _queue;
    private readonly List<SequenceWork> _running = [];
    private readonly Stack<IDecodingSession> _sessions = [];
    private readonly LookQueue _looks = new(MostLooks);
    private readonly AutoResetEvent _work = new(false);
    private readonly Thread _thread;
    private volatile Exception? _end;
    private int _runningCount;

    /// <summary>Starts the thread.</summary>
    public Scheduler(ServedModel model, ServerOptions options, ServerMetrics metrics, ILogger log)
    {
        _model = model;
        _metrics = metrics;
        _log = log;
        _slots = options.Slots;
        _queue = new FairQueue(options.QueueLimit);
        _thread = new Thread(Run) { IsBackground = true, Name = $"scheduler of {model.Name}" };
        _thread.Start();
    }

    /// <summary>Sequences that have a slot.</summary>
    public int Running => Volatile.Read(ref _runningCount);

    /// <summary>Requests that wait.</summary>
    public int Waiting => _queue.Count;

    /// <summary>Adds a request.</summary>
    /// <param name="job">The request.</param>
    /// <exception cref="ApiException">The queue is full, or the server is stopping.</exception>
    public void Add(GenerationJob job)
    {
        if (_end is { } end)
        {
            throw end;
        }

        if (_model.CacheTokens is { } capacity && job.Sequences.FirstOrDefault(sequence => sequence.CacheTokens(_model.Model.ContextLength) > capacity) is { } large)
        {
            throw ApiException.Invalid("max_tokens", $"Prompt and text need a cache of {large.CacheTokens(_model.Model.ContextLength)} tokens; this server has {capacity}. Ask for fewer tokens.");
        }

        // Those that the next pass will take wait for nobody.
        if (!_queue.TryAdd(job, Math.Max(0, _slots - Running)))
        {
            throw new ApiException(StatusCodes.Status429TooManyRequests, $"{_queue.Count} requests wait for this model already, as many as this server keeps; try again later.", "queue_full") { RetryAfter = 2 };
        }

        _work.Set();
    }

    /// <summary>Asks something that needs a pass of its own; it takes its turn between those of the sequences, one at a time.</summary>
    /// <typeparam name="T">The answer.</typeparam>
    /// <param name="tokens">Tokens that are read for it.</param>
    /// <param name="look">Finds the answer, on the thread that owns the model.</param>
    /// <param name="cancellation">Gives up waiting.</param>
    /// <exception cref="ApiException">Too many wait, the cache is too small, or the server is stopping.</exception>
    public Task<T> LookAsync<T>(int tokens, Func<T> look, CancellationToken cancellation)
    {
        if (_end is { } end)
        {
            throw end;
        }

        var pages = SequenceWork.Pages(tokens);
        if (_model.CacheTokens is { } capacity && pages > capacity)
        {
            throw ApiException.Invalid("prompt", $"The prompt needs a cache of {pages} tokens; this server has {capacity}. Give a shorter one.");
        }

        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_looks.TryAdd(new ModelLook(pages, () => Answer(answer, look), error => answer.TrySetException(error), cancellation)))
        {
            throw new ApiException(StatusCodes.Status429TooManyRequests, $"{MostLooks} requests of this kind wait for this model already; try again later.", "queue_full") { RetryAfter = 2 };
        }

        _work.Set();
        return answer.Task.WaitAsync(cancellation);
    }

    /// <summary>Ends all requests with an error and takes no more.</summary>
    /// <param name="error">What they are told.</param>
    public void Stop(Exception error)
    {
        _end = error;
        _work.Set();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop(ApiException.Stopping());
        _thread.Join();
        _work.Dispose();
    }

    // One failed pass must not end the server.
#pragma warning disable CA1031
    private void Run()
    {
        while (_end is null)
        {
            try
            {
                if (_running.Count == 0 && _queue.Count == 0 && _looks.Next() is null)
                {
                    _work.WaitOne();
                }

                Pass();
            }
            catch (Exception error)
            {
                LogPassFailed(_log, error, _model.Name);
                _running.ForEach(sequence => Discard(sequence, error));
            }
        }

        foreach (var job in _running.Select(sequence => sequence.Job).Concat(_queue.Clear()))
        {
            job.Fail(_end);
        }

        while (_looks.Next() is { } look)
        {
            look.Fail(_end);
            _looks.Remove(look);
        }

        _running.ForEach(Release);
        _running.Clear();
        Volatile.Write(ref _runningCount, 0);
        while (_sessions.TryPop(out var session))
        {
            session.Dispose();
        }
    }
#pragma warning restore CA1031

    private void Pass()
    {
        Leave();
        Join();
        Look();
        var awaiting = _running.Where(sequence => sequence.AwaitsScores).ToList();
        if (awaiting.Count > 0)
        {
            Score(awaiting, awaiting.Count == _running.Count ? ScoredTokensAlone : PromptTokensAPass);
        }

        var steps = Steps();
        if (steps.Count > 0)
        {
            var started = Stopwatch.GetTimestamp();
            foreach (var sequence in steps)
            {
                sequence.Session ??= _sessions.TryPop(out var session) ? session : _model.Model.StartSession();
            }

            _model.Model.Append([.. steps.Select(sequence => new SessionTokens(sequence.Session!, sequence.NextPart))]);
            _metrics.Passed(_model.Name, steps.Count, Stopwatch.GetElapsedTime(started));
            ForEach(steps, sequence => Guarded(sequence, sequence.Advance));
        }

        Leave();
    }

    // The sequences of the next pass: all that only need their last token read, and prompts by turns as far as they fit.
    private List<SequenceWork> Steps()
    {
        var steps = new List<SequenceWork>(_running.Count);
        var left = PromptTokensAPass;
        foreach (var sequence in _running.Where(sequence => !sequence.AwaitsScores && !sequence.IsFinished && !sequence.Job.IsOver))
        {
            var tokens = sequence.ReadsPrompt ? sequence.NextPart.Length : 0;
            if (tokens == 0 || tokens <= left)
            {
                steps.Add(sequence);
                left -= tokens;
            }
            else
            {
                // In their order: a short prompt does not overtake for ever.
                left = 0;
            }
        }

        return steps;
    }

    // One at a time: the streams wait for it.
    private void Look()
    {
        if (_looks.Next() is { } look && Fits(look.CacheTokens))
        {
            _looks.Remove(look);
            look.Run();
        }
    }

    // What it does wrong is its own request's concern.
#pragma warning disable CA1031
    private static void Answer<T>(TaskCompletionSource<T> answer, Func<T> look)
    {
        try
        {
            answer.TrySetResult(look());
        }
        catch (Exception error)
        {
            answer.TrySetException(error);
        }
    }
#pragma warning restore CA1031

    private void Score(List<SequenceWork> awaiting, int budget)
    {
        var batch = new List<PromptWork>();
        foreach (var prompt in awaiting.Select(sequence => sequence.Prompt).Distinct().Where(prompt => prompt.Scores is null))
        {
            if (batch.Count > 0 && batch[0].ScoreTop != prompt.ScoreTop)
            {
                continue;
            }

            budget -= prompt.Tokens.Length;
            if (batch.Count > 0 && budget < 0)
            {
                break;
            }

            batch.Add(prompt);
        }

        if (batch.Count > 0)
        {
            var scores = PromptScorer.Score(
                _model.Model, [.. batch.Select(prompt => (ReadOnlyMemory<int>)prompt.Tokens)], batch[0].ScoreTop!.Value, _model.KnownIds, (i, logits) => batch[i].NextLogits = logits.ToArray());
            for (var i = 0; i < batch.Count; i++)
            {
                batch[i].Scores = scores[i];
            }
        }

        ForEach([.. awaiting.Where(sequence => sequence.Prompt.Scores is not null)], sequence => Guarded(sequence, sequence.TellPrompt));
    }

    // What one sequence does wrong is no other's concern.
#pragma warning disable CA1031
    private void Guarded(SequenceWork sequence, Action<ServedModel> action)
    {
        try
        {
            var (last, before) = (sequence.LastToken, sequence.Count);
            action(_model);
            if (sequence.Count > before)
            {
                _metrics.Drew(_model.Name, before == 0 ? sequence.Job.Started : last, isFirst: before == 0);
            }
        }
        catch (Exception error)
        {
            sequence.Job.Fail(error);
        }
    }
#pragma warning restore CA1031

    // Drawing from a large vocabulary costs as much as a small model's pass.
    private static void ForEach(List<SequenceWork> sequences, Action<SequenceWork> action)
    {
        // Close() and Fail() of one job must come from one thread.
        if (sequences.Count < DrawsWorthSharing)
        {
            sequences.ForEach(action);
            return;
        }

        Parallel.ForEach(sequences.GroupBy(sequence => sequence.Job), group =>
        {
            foreach (var sequence in group)
            {
                action(sequence);
            }
        });
    }

    private void Join()
    {
        foreach (var job in _queue.RemoveOver())
        {
            job.Fail(new OperationCanceledException());
        }

        while (_running.Count < _slots && _queue.Take(Fits) is { } sequence)
        {
            _metrics.Queued(_model.Name, sequence.Job.Started);
            _running.Add(sequence);
            if (sequence.Prompt.ScoreTop is null)
            {
                sequence.TellPrompt(_model);
            }
        }

        Volatile.Write(ref _runningCount, _running.Count);
    }

    // Room is kept for a sequence's whole length, so that none has to stop halfway.
    private bool Fits(SequenceWork sequence) => Fits(sequence.CacheTokens(_model.Model.ContextLength));

    private bool Fits(long cacheTokens) => _model.CacheTokens is not { } capacity || _running.Sum(running => running.CacheTokens(_model.Model.ContextLength)) + cacheTokens <= capacity;

    private void Leave()
    {
        foreach (var sequence in _running)
        {
            if (sequence.IsFinished || sequence.Job.IsOver)
            {
                Release(sequence);
            }
        }

        _running.RemoveAll(sequence => sequence.IsFinished || sequence.Job.IsOver);
        Volatile.Write(ref _runningCount, _running.Count);
    }

    private void Release(SequenceWork sequence)
    {
        if (sequence.Session is { } session)
        {
            sequence.Session = null;
            session.Truncate(0);
            _sessions.Push(session);
        }
    }

    // A session that a failed pass has left halfway is not used again.
    private static void Discard(SequenceWork sequence, Exception error)
    {
        sequence.Job.Fail(error);
        sequence.Session?.Dispose();
        sequence.Session = null;
    }

    [LoggerMessage(LogLevel.Error, "A pass of {Model} failed")]
    private static partial void LogPassFailed(ILogger log, Exception error, string model);
}
