namespace CoFrGeNet.Inference;

/// <summary>Attention of all sequences of a pass, cut by sequence, key-value head and tokens.</summary>
internal sealed unsafe class AttentionWork : Work
{
    private const int PieceRows = 16 * AttentionRows;
    private const int AttentionRows = 4;

    private readonly EngineKernels _kernels;
    private AttentionCall _call;
    private AttentionPlaces _places;
    private Segment[] _segments = [];
    private int _count;
    private int[] _firstPieces = [0];
    private float* _room;
    private nint _roomOfThread;

    /// <summary>Starts without work.</summary>
    /// <param name="kernels">The kernels.</param>
    public AttentionWork(EngineKernels kernels) => _kernels = kernels;

    /// <summary>Prepares the work.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="call">What does not depend on sequence and head: sizes, scale, pattern, strides.</param>
    /// <param name="places">Where heads find their parts.</param>
    /// <returns>Number of pieces.</returns>
    public int Prepare(Pass pass, in AttentionCall call, in AttentionPlaces places)
    {
        (_call, _places, _segments, _count) = (call, places, pass.Segments, pass.SegmentCount);
        if (_firstPieces.Length <= _count)
        {
            _firstPieces = new int[2 * (_count + 1)];
        }

        var longest = 0;
        for (var i = 0; i < _count; i++)
        {
            var segment = _segments[i];
            longest = Math.Max(longest, segment.Position + segment.Count);
            var rows = segment.Count * call.Group;
            _firstPieces[i + 1] = _firstPieces[i] + (places.Heads * ((rows + PieceRows - 1) / PieceRows));
        }

        _call.ScoreStride = (longest + CachePool.PageTokens - 1) / CachePool.PageTokens * CachePool.PageTokens;
        _roomOfThread = AttentionRows * (nint)(_call.ScoreStride + call.ValueStride);
        _room = pass.Arena.Take(_roomOfThread * pass.Threads);
        return _firstPieces[_count];
    }

    /// <inheritdoc/>
    public override void Run(int piece, int thread)
    {
        var number = 0;
        while (piece >= _firstPieces[number + 1])
        {
            number++;
        }

        var segment = _segments[number];
        piece -= _firstPieces[number];
        var (head, part) = (piece % _places.Heads, piece / _places.Heads);
        var call = _call;
        call.ValuePages = segment.Cache.Pages;
        call.KeyPages = _places.StaticKeys == null ? segment.Cache.Pages : _places.StaticKeys;
        call.KeyOffset = _places.KeyOffset + (head * _places.KeyHead);
        call.ValueOffset = _places.ValueOffset + (head * _places.ValueHead);
        call.Queries += (segment.Row * call.QueryStride) + (head * (nint)call.Group * call.KeySize);
        call.Y += (segment.Row * call.YStride) + (head * (nint)call.Group * call.ValueSize);
        call.Position = segment.Position;
        call.Room = _room + (thread * _roomOfThread);
        var end = Math.Min(segment.Count * call.Group, (part + 1) * PieceRows);
        for (var row = part * PieceRows; row < end; row += AttentionRows)
        {
            _kernels.Attend(call, row, Math.Min(AttentionRows, end - row));
        }
    }
}

/// <summary>Where the key-value heads of a layer find their keys and values in a page.</summary>
internal unsafe struct AttentionPlaces
{
    /// <summary>Number of key-value heads.</summary>
    public int Heads;

    /// <summary>Pages of learned keys; null where keys are in the cache.</summary>
    public nint* StaticKeys;

    /// <summary>The first head's keys in a page.</summary>
    public nint KeyOffset;

    /// <summary>From a head's keys to the next.</summary>
    public nint KeyHead;

    /// <summary>The first head's values in a page.</summary>
    public nint ValueOffset;

    /// <summary>From a head's values to the next.</summary>
    public nint ValueHead;
}
