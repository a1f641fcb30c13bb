namespace CoFrGeNet.Training;

/// <summary>
/// Reads a stream that may have nothing to give for as long as it likes, as standard input does, and gives up waiting when asked to: the system offers no way to
/// end such a read.
/// </summary>
internal sealed class StoppableInput : Stream
{
    private readonly Stream _inner;
    private readonly CancellationToken _stop;
    private readonly byte[] _block = new byte[1 << 16];
    private int _start;
    private int _end;

    /// <summary>Wraps a stream, which is disposed with this one.</summary>
    /// <param name="inner">The stream.</param>
    /// <param name="stop">Ends a read with an <see cref="OperationCanceledException"/>; none is begun after it.</param>
    public StoppableInput(Stream inner, CancellationToken stop)
    {
        _inner = inner;
        _stop = stop;
    }

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        if (_start == _end)
        {
            _start = 0;
            // The block is this object's own, so that a read that nobody waits for any longer writes into nothing else.
            _end = Task.Run(() => _inner.Read(_block), _stop).WaitAsync(_stop).GetAwaiter().GetResult();
        }

        var taken = Math.Min(buffer.Length, _end - _start);
        _block.AsSpan(_start, taken).CopyTo(buffer);
        _start += taken;
        return taken;
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
