namespace CoFrGeNet.Inference;

/// <summary>The triangular maps of CAttnU for all sequences of a pass, cut by sequence, channels and tokens.</summary>
internal sealed unsafe class TriangleWork : Work
{
    private const int TileRows = 4;
    private const int PieceRows = 16 * TileRows;

    private readonly EngineKernels _kernels;
    private TriangleCall _call;
    private Segment[] _segments = [];
    private int[] _firstPieces = [0];
    private int _strips;

    /// <summary>Starts without work.</summary>
    /// <param name="kernels">The kernels.</param>
    public TriangleWork(EngineKernels kernels) => _kernels = kernels;

    /// <summary>Prepares the work.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="call">What does not depend on the sequence.</param>
    /// <returns>Number of pieces.</returns>
    public int Prepare(Pass pass, in TriangleCall call)
    {
        (_call, _segments) = (call, pass.Segments);
        _strips = (call.Stride + _kernels.TriangleChannels - 1) / _kernels.TriangleChannels;
        if (_firstPieces.Length <= pass.SegmentCount)
        {
            _firstPieces = new int[2 * (pass.SegmentCount + 1)];
        }

        for (var i = 0; i < pass.SegmentCount; i++)
        {
            _firstPieces[i + 1] = _firstPieces[i] + (_strips * ((_segments[i].Count + PieceRows - 1) / PieceRows));
        }

        return _firstPieces[pass.SegmentCount];
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
        var (strip, part) = (piece % _strips, piece / _strips);
        var call = _call;
        call.Pages = segment.Cache.Pages;
        call.Position = segment.Position;
        call.Y += segment.Row * call.YStride;
        var end = Math.Min(segment.Count, (part + 1) * PieceRows);
        for (var row = part * PieceRows; row < end; row += TileRows)
        {
            _kernels.MixTriangles(call, row, Math.Min(TileRows, end - row), strip * _kernels.TriangleChannels);
        }
    }
}
