using System.Diagnostics;
using System.Runtime.InteropServices;

namespace CoFrGeNet.Training;

/// <summary>
/// Finds out who is missing when a collective does not end. It costs nothing until then: a rank that has waited too long asks all others how many collectives they have
/// begun. One that has died, hangs as a whole or cannot be reached gives no answer; one whose training hangs answers with a smaller number.
/// </summary>
internal sealed unsafe class RollCall
{
    private const int QuestionTag = 1;
    private const int AnswerTag = 2;

    private readonly MpiLibrary _mpi;
    private readonly nint _communicator;
    private readonly int _rank;
    private readonly int _size;
    private readonly long?[] _answers;

    /// <summary>Creates it.</summary>
    /// <param name="mpi">The library.</param>
    /// <param name="communicator">One of its own, so that nothing gets between.</param>
    /// <param name="rank">This rank.</param>
    /// <param name="size">Number of ranks.</param>
    public RollCall(MpiLibrary mpi, nint communicator, int rank, int size)
    {
        (_mpi, _communicator, _rank, _size) = (mpi, communicator, rank, size);
        _answers = new long?[size];
    }

    /// <summary>Answers whoever has asked.</summary>
    /// <param name="started">Collectives that this rank has begun.</param>
    public void Answer(long started)
    {
        while (TryReceive(out var source, out var tag, out var value))
        {
            if (tag == QuestionTag)
            {
                Send(source, AnswerTag, started);
            }
            else
            {
                _answers[source] = value;
            }
        }
    }

    /// <summary>Asks all others.</summary>
    /// <param name="started">Collectives that this rank has begun.</param>
    /// <param name="patience">How long to wait for answers.</param>
    /// <returns>By rank what it answered; null: nothing.</returns>
    public IReadOnlyList<long?> Call(long started, TimeSpan patience)
    {
        Array.Clear(_answers);
        foreach (var rank in Enumerable.Range(0, _size).Where(rank => rank != _rank))
        {
            Send(rank, QuestionTag, started);
        }

        // To the end even when all have answered: others ask at about the same time.
        for (var since = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(since) < patience; Thread.Sleep(1))
        {
            Answer(started);
        }

        return _answers;
    }

    private bool TryReceive(out int source, out int tag, out long value)
    {
        (source, tag, value) = (0, 0, 0);
        int found;
        MpiStatus status;
        // Whoever is gone sends nothing: a failure here says no more than silence does.
        if (_mpi.Probe(MpiLibrary.AnySource, MpiLibrary.AnySource, _communicator, &found, &status) != 0 || found == 0)
        {
            return false;
        }

        (source, tag) = (status.Source, status.Tag);
        long received;
        var code = _mpi.Receive((nint)(&received), 1, _mpi.Int64, source, tag, _communicator, &status);
        value = received;
        return code == 0;
    }

    // Never waited for, since the other side may be gone: the few bytes stay until the process ends.
    private void Send(int rank, int tag, long value)
    {
        var buffer = (long*)NativeMemory.Alloc(sizeof(long));
        *buffer = value;
        nint request;
        _ = _mpi.Send((nint)buffer, 1, _mpi.Int64, rank, tag, _communicator, &request);
    }
}
