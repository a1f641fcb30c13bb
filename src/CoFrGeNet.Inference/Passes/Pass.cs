namespace CoFrGeNet.Inference;

/// <summary>
/// One pass over the weights with some tokens of some sequences: their rows, working memory, and the work that layers share. Sequences that bring few tokens come
/// first and are multiplied row by row, the others in blocks; which of the two is a matter of the sequence alone, so that its results are, too.
/// </summary>
internal sealed unsafe class Pass : IDisposable
{
    /// <summary>Sequences with fewer tokens than this are multiplied row by row.</summary>
    public const int BlockTokens = 24;

    // Below these many multiply-adds other threads cost more than they bring.
    private const long OperationsForTeam = 1 << 15;

    private readonly ProductWork _products;
    private readonly RowWork _rowWork = new();
    private readonly AttentionWork _attention;
    private readonly TriangleWork _triangles;
    private int[] _tokens = [];
    private int[] _positions = [];
    private int[] _segmentOfRow = [];

    /// <summary>Creates a pass without rows.</summary>
    /// <param name="kernels">The kernels.</param>
    /// <param name="threads">Most threads.</param>
    public Pass(EngineKernels kernels, int threads)
    {
        Kernels = kernels;
        Threads = Math.Min(threads, Team.Shared.Threads);
        _products = new ProductWork(kernels);
        _attention = new AttentionWork(kernels);
        _triangles = new TriangleWork(kernels);
    }

    /// <summary>The kernels.</summary>
    public EngineKernels Kernels { get; }

    /// <summary>Most threads that take part.</summary>
    public int Threads { get; }

    /// <summary>Working memory, given back after each layer.</summary>
    public Arena Arena { get; } = new();

    /// <summary>Looks at ladders; null: nobody does.</summary>
    public LadderProbe? Probe { get; set; }

    /// <summary>The sequences' parts, of which <see cref="SegmentCount"/> count.</summary>
    public Segment[] Segments { get; private set; } = [];

    /// <summary>Number of segments.</summary>
    public int SegmentCount { get; private set; }

    /// <summary>Number of tokens.</summary>
    public int Rows { get; private set; }

    /// <summary>Number of tokens that are multiplied row by row; they come first.</summary>
    public int SingleRows { get; private set; }

    /// <summary>Starts anew.</summary>
    public void Clear()
    {
        (SegmentCount, Rows, SingleRows) = (0, 0, 0);
        Arena.Reset();
    }

    /// <summary>Takes in tokens of a sequence, whose cache must have room for them. Those to be multiplied row by row must come first.</summary>
    /// <param name="cache">The sequence's cache.</param>
    /// <param name="position">Position of the first of them.</param>
    /// <param name="tokens">Their ids.</param>
    /// <param name="isBlock">Whether they are multiplied in blocks.</param>
    public void Add(SequenceCache cache, int position, ReadOnlySpan<int> tokens, bool isBlock)
    {
        var count = tokens.Length;
        if (SegmentCount == Segments.Length)
        {
            Segments = Grown(Segments, SegmentCount + 1);
        }

        if (Rows + count > _positions.Length)
        {
            _tokens = Grown(_tokens, Rows + count);
            _positions = Grown(_positions, Rows + count);
            _segmentOfRow = Grown(_segmentOfRow, Rows + count);
        }

        tokens.CopyTo(_tokens.AsSpan(Rows));
        for (var i = 0; i < count; i++)
        {
            _positions[Rows + i] = position + i;
            _segmentOfRow[Rows + i] = SegmentCount;
        }

        Segments[SegmentCount++] = new Segment(cache, Rows, count, position);
        Rows += count;
        SingleRows = isBlock ? SingleRows : Rows;
    }

    /// <summary>Id of a row's token.</summary>
    /// <param name="row">The row.</param>
    public int Token(int row) => _tokens[row];

    /// <summary>Position of a row's token in its sequence.</summary>
    /// <param name="row">The row.</param>
    public int Position(int row) => _positions[row];

    /// <summary>The page of the cache that a row's token belongs to.</summary>
    /// <param name="row">The row.</param>
    public float* PageOf(int row) => (float*)Segments[_segmentOfRow[row]].Cache.Pages[_positions[row] / CachePool.PageTokens];

    /// <summary>Takes a product into the next <see cref="Multiply(float*, nint)"/>.</summary>
    /// <inheritdoc cref="ProductWork.Enqueue"/>
    public void Enqueue(in Linear linear, float* y, nint stride, bool adds = false) => _products.Enqueue(linear, y, stride, adds);

    /// <summary>Multiplies all rows with everything that was enqueued.</summary>
    /// <param name="x">The first row.</param>
    /// <param name="stride">From a row to the next.</param>
    public void Multiply(float* x, nint stride) => Multiply(x, stride, Rows, SingleRows);

    /// <summary>Multiplies other rows.</summary>
    /// <param name="x">The first row.</param>
    /// <param name="stride">From a row to the next.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="singleRows">How many of them, from the first on, are multiplied row by row.</param>
    public void Multiply(float* x, nint stride, int rows, int singleRows)
    {
        var threads = rows * _products.RowOperations < OperationsForTeam ? 1 : Threads;
        if (singleRows > 0)
        {
            var mark = Arena.Mark;
            Team.Shared.Run(_products, _products.PrepareRows(x, stride, singleRows, Arena, threads), threads);
            Arena.Release(mark);
        }

        if (rows > singleRows)
        {
            var mark = Arena.Mark;
            var inputs = _products.Inputs;
            var count = rows - singleRows;
            var packed = Arena.Take((long)((count + EngineKernels.BlockTileRows - 1) / EngineKernels.BlockTileRows) * EngineKernels.BlockTileRows * inputs);
            var roomOfThread = Kernels.PanelFloats(inputs);
            var room = Arena.Take((long)roomOfThread * Threads);
            Team.Shared.Run(_products, _products.PreparePack(x, stride, singleRows, count, packed), threads);
            Team.Shared.Run(_products, _products.PrepareBlock(room, roomOfThread), threads);
            Arena.Release(mark);
        }

        _products.Clear();
    }

    /// <summary>Does something with each row by itself.</summary>
    /// <param name="action">What, by number of the row; kept by the caller, since making one allocates.</param>
    public void ForRows(Action<int> action)
    {
        var pieces = _rowWork.Prepare(action, Rows);
        Team.Shared.Run(_rowWork, pieces, Threads);
    }

    /// <summary>Softmax attention of all rows.</summary>
    /// <inheritdoc cref="AttentionWork.Prepare"/>
    public void Attend(in AttentionCall call, in AttentionPlaces places)
    {
        var mark = Arena.Mark;
        var pieces = _attention.Prepare(this, call, places);
        var width = (long)places.Heads * call.Group * (call.KeySize + call.ValueSize);
        Team.Shared.Run(_attention, pieces, Visible() * width < OperationsForTeam ? 1 : Threads);
        Arena.Release(mark);
    }

    /// <summary>The triangular maps of CAttnU of all rows.</summary>
    /// <inheritdoc cref="TriangleWork.Prepare"/>
    public void MixTriangles(in TriangleCall call)
    {
        var pieces = _triangles.Prepare(this, call);
        Team.Shared.Run(_triangles, pieces, Visible() * 2 * call.Stride < OperationsForTeam ? 1 : Threads);
    }

    /// <inheritdoc/>
    public void Dispose() => Arena.Dispose();

    // How many tokens all rows see together.
    private long Visible()
    {
        long sum = 0;
        for (var i = 0; i < SegmentCount; i++)
        {
            sum += Segments[i].Count * (Segments[i].Position + ((Segments[i].Count + 1L) / 2));
        }

        return sum;
    }

    private static T[] Grown<T>(T[] old, int least)
    {
        var grown = new T[Math.Max(least, 2 * old.Length)];
        old.CopyTo(grown, 0);
        return grown;
    }
}
