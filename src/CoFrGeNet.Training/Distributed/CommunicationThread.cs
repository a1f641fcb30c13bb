using System.Collections.Concurrent;

namespace CoFrGeNet.Training;

/// <summary>
/// The one thread of a process that talks to the others: what is posted runs in its order, beside the computation. So a library needs to bear one thread alone, and
/// all ranks call it in the same order.
/// </summary>
internal sealed class CommunicationThread : IDisposable
{
    private static readonly TimeSpan IdleEvery = TimeSpan.FromMilliseconds(20);

    private readonly BlockingCollection<(Action Action, TaskCompletionSource Done)> _queue = [];
    private readonly Thread _thread;
    private CommunicationFailedException? _failure;

    /// <summary>Starts it.</summary>
    /// <param name="idle">Is called on the thread again and again while nothing is posted.</param>
    public CommunicationThread(Action idle)
    {
        _thread = new Thread(() => Loop(idle)) { IsBackground = true, Name = "communication" };
        _thread.Start();
    }

    /// <summary>Runs an action after all that were posted before. Once the others are lost, nothing more is tried.</summary>
    /// <param name="action">The action.</param>
    /// <param name="always">Whether it is tried nevertheless.</param>
    /// <returns>Ends with the action, or with what it threw.</returns>
    public Task Post(Action action, bool always = false)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _queue.Add((always ? action : () => Try(action), done));
        return done.Task;
    }

    /// <summary>Runs an action and waits for it.</summary>
    /// <param name="action">The action.</param>
    public void Run(Action action) => Post(action).GetAwaiter().GetResult();

    /// <summary>Runs what was posted, then ends the thread.</summary>
    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread.Join();
        _queue.Dispose();
    }

    private void Try(Action action)
    {
        if (_failure is not null)
        {
            throw _failure;
        }

        try
        {
            action();
        }
        catch (CommunicationFailedException error)
        {
            _failure = error;
            throw;
        }
    }

    private void Loop(Action idle)
    {
        while (!_queue.IsCompleted)
        {
            if (!_queue.TryTake(out var item, IdleEvery))
            {
                idle();
                continue;
            }

#pragma warning disable CA1031 // It is thrown again where it is waited for.
            try
            {
                item.Action();
                item.Done.SetResult();
            }
            catch (Exception error)
            {
                item.Done.SetException(error);
            }
#pragma warning restore CA1031
        }
    }
}
