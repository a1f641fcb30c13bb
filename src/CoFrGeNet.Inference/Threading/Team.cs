using System.Diagnostics.CodeAnalysis;

namespace CoFrGeNet.Inference;

/// <summary>
/// The threads of the engine, one a core and one team a process: whoever runs a pass holds <see cref="Gate"/>, so that several models and sessions share the
/// cores instead of crowding them. A thread that has nothing to do spins for a moment, since the next piece of a pass comes within microseconds, and sleeps then.
/// </summary>
internal sealed class Team
{
    // Some 20 to 50 microseconds.
    private const int Spins = 2000;

    private readonly Helper[] _helpers;

    // Number of the call in the upper half, number of the next piece in the lower.
    private long _state;
    private volatile Work? _work;
    private volatile int _pieces;
    private volatile int _done;
    private volatile int _threads;
    private volatile Exception? _failure;

    private Team(int threads)
    {
        _helpers = new Helper[threads - 1];
        for (var i = 0; i < _helpers.Length; i++)
        {
            _helpers[i] = new Helper(this, i + 1);
        }
    }

    /// <summary>The process's team.</summary>
    public static Team Shared { get; } = new(Math.Max(1, Environment.ProcessorCount));

    /// <summary>Held while a pass runs.</summary>
    public Lock Gate { get; } = new();

    /// <summary>Number of threads, the caller's among them.</summary>
    public int Threads => _helpers.Length + 1;

    /// <summary>Does all pieces and returns when they are done. Only for the holder of <see cref="Gate"/>.</summary>
    /// <param name="work">The work.</param>
    /// <param name="pieces">Number of pieces.</param>
    /// <param name="threads">Most threads that take part.</param>
    public void Run(Work work, int pieces, int threads)
    {
        if (pieces <= 1 || threads <= 1 || _helpers.Length == 0)
        {
            for (var piece = 0; piece < pieces; piece++)
            {
                work.Run(piece, 0);
            }

            return;
        }

        // Closed first: a late thread that holds the end of the last call would otherwise find more pieces in this one, take one before its time and be counted.
        var call = (Volatile.Read(ref _state) >> 32) + 1;
        Interlocked.Exchange(ref _state, ((call - 1) << 32) | int.MaxValue);
        _work = work;
        _pieces = pieces;
        _threads = threads;
        _done = 0;
        _failure = null;
        // A full fence: what follows must not be read before helpers can see the call.
        Interlocked.Exchange(ref _state, (call & int.MaxValue) << 32);
        for (var i = 0; i < Math.Min(threads, Threads) - 1; i++)
        {
            _helpers[i].WakeIfAsleep();
        }

        Take(0);
        var spinner = new SpinWait();
        while (_done < pieces)
        {
            // Yields now and then: on a crowded machine the thread that holds the last piece may wait for this core.
            spinner.SpinOnce(sleep1Threshold: -1);
        }

        if (_failure is { } failure)
        {
            throw new AggregateException(failure);
        }
    }

    // Takes pieces of the present call until none is left. A piece is taken by an exchange of the whole state, so that a late thread never takes one of another call.
    private void Take(int thread)
    {
        while (true)
        {
            var state = Volatile.Read(ref _state);
            var work = _work;
            var piece = (int)state;
            if (work is null || piece >= _pieces || thread >= _threads)
            {
                return;
            }

            if (Interlocked.CompareExchange(ref _state, state + 1, state) != state)
            {
                continue;
            }

            try
            {
                work.Run(piece, thread);
            }
            catch (Exception e)
            {
                _failure = e;
            }
            finally
            {
                Interlocked.Increment(ref _done);
            }
        }
    }

    [SuppressMessage("Design", "CA1001", Justification = "Lives as long as the process.")]
    private sealed class Helper
    {
        private readonly Team _team;
        private readonly int _number;
        private readonly SemaphoreSlim _wake = new(0);
        private int _isAsleep;

        public Helper(Team team, int number)
        {
            _team = team;
            _number = number;
            new Thread(Loop) { IsBackground = true, Name = $"CoFrGeNet.Inference {number}" }.Start();
        }

        public void WakeIfAsleep()
        {
            if (Volatile.Read(ref _isAsleep) != 0 && Interlocked.Exchange(ref _isAsleep, 0) != 0)
            {
                _wake.Release();
            }
        }

        private void Loop()
        {
            long seen = 0;
            while (true)
            {
                for (var i = 0; i < Spins && Call == seen; i++)
                {
                    Thread.SpinWait(8);
                }

                if (Call == seen)
                {
                    Interlocked.Exchange(ref _isAsleep, 1);
                    // A call that came in between has seen either the flag, or will be seen here.
                    if (Call == seen)
                    {
                        _wake.Wait();
                    }
                    else if (Interlocked.Exchange(ref _isAsleep, 0) == 0)
                    {
                        _wake.Wait();
                    }
                }

                seen = Call;
                _team.Take(_number);
            }
        }

        private long Call => Volatile.Read(ref _team._state) >> 32;
    }
}
