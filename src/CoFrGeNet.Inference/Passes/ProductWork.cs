using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

/// <summary>Several products of the same rows, cut into pieces of outputs.</summary>
internal sealed unsafe class ProductWork : Work
{
    // One level of ladders each, and a linear map beside them.
    private const int MostProducts = ContinuedFractions.LadderRange.MaxDepth + 1;

    private readonly EngineKernels _kernels;
    private readonly Matrix?[] _matrices = new Matrix?[MostProducts];
    private readonly nint[] _biases = new nint[MostProducts];
    private readonly nint[] _targets = new nint[MostProducts];
    private readonly nint[] _strides = new nint[MostProducts];
    private readonly bool[] _adds = new bool[MostProducts];
    private readonly Rows[] _prepared = new Rows[(int)WeightType.Int4 + 1];
    private readonly int[] _firstPieces = new int[MostProducts + 1];
    private readonly int[] _tilesOfPiece = new int[MostProducts];
    private Stage _stage;
    private float* _x;
    private nint _xStride;
    private int _firstRow;
    private int _rows;
    private float* _packed;
    private float* _room;
    private int _roomOfThread;

    /// <summary>Starts without products.</summary>
    /// <param name="kernels">The kernels.</param>
    public ProductWork(EngineKernels kernels) => _kernels = kernels;

    private enum Stage
    {
        Rows,
        Pack,
        Block,
    }

    /// <summary>Number of products.</summary>
    public int Count { get; private set; }

    /// <summary>Width of the rows.</summary>
    public int Inputs => _matrices[0]!.Inputs;

    /// <summary>Multiply-adds a row.</summary>
    public long RowOperations { get; private set; }

    /// <summary>Takes a product into the next multiplication.</summary>
    /// <param name="linear">The map.</param>
    /// <param name="y">Where the first row's results go.</param>
    /// <param name="stride">From a row's results to the next.</param>
    /// <param name="adds">Whether they are added to what is there.</param>
    public void Enqueue(in Linear linear, float* y, nint stride, bool adds)
    {
        _matrices[Count] = linear.Matrix;
        (_biases[Count], _targets[Count], _strides[Count], _adds[Count]) = (linear.Bias, (nint)y, stride, adds);
        RowOperations += (long)linear.Matrix.Outputs * linear.Matrix.Inputs;
        Count++;
    }

    /// <summary>Forgets the products.</summary>
    public void Clear() => (Count, RowOperations) = (0, 0);

    /// <summary>Prepares the multiplication of few rows.</summary>
    /// <returns>Number of pieces.</returns>
    public int PrepareRows(float* x, nint xStride, int rows, Arena arena, int threads)
    {
        _x = x;
        (_stage, _xStride, _firstRow, _rows) = (Stage.Rows, xStride, 0, rows);
        Array.Clear(_prepared);
        for (var i = 0; i < Count; i++)
        {
            ref var prepared = ref _prepared[(int)_matrices[i]!.Type];
            if (prepared.X == null)
            {
                prepared = Prepared(_matrices[i]!.Type, arena);
            }
        }

        // Enough that a slower thread is not waited for; fewer, since the first weights of a piece are not asked for ahead.
        return Cut(EngineKernels.RowTileOutputs, 4 * threads);
    }

    /// <summary>Prepares the copying of many rows to panels.</summary>
    /// <returns>Number of pieces.</returns>
    public int PreparePack(float* x, nint xStride, int firstRow, int rows, float* packed)
    {
        _x = x;
        _packed = packed;
        (_stage, _xStride, _firstRow, _rows) = (Stage.Pack, xStride, firstRow, rows);
        return (rows + EngineKernels.BlockTileRows - 1) / EngineKernels.BlockTileRows;
    }

    /// <summary>Prepares the multiplication of what was copied.</summary>
    /// <returns>Number of pieces.</returns>
    public int PrepareBlock(float* room, int roomOfThread)
    {
        _room = room;
        (_stage, _roomOfThread) = (Stage.Block, roomOfThread);
        return Cut(_kernels.BlockTileOutputs, int.MaxValue);
    }

    /// <inheritdoc/>
    public override void Run(int piece, int thread)
    {
        if (_stage == Stage.Pack)
        {
            _kernels.PackBlock(Call(0), piece, _packed);
            return;
        }

        var product = 0;
        while (piece >= _firstPieces[product + 1])
        {
            product++;
        }

        var tile = (piece - _firstPieces[product]) * _tilesOfPiece[product];
        if (_stage == Stage.Block)
        {
            _kernels.MultiplyBlock(Call(product), _packed, tile, _room + ((nint)thread * _roomOfThread));
            return;
        }

        var first = tile * EngineKernels.RowTileOutputs;
        _kernels.MultiplyRows(RowCall(product), first, Math.Min(_matrices[product]!.Outputs, first + (_tilesOfPiece[product] * EngineKernels.RowTileOutputs)));
    }

    private int Cut(int tileOutputs, int mostPieces)
    {
        for (var i = 0; i < Count; i++)
        {
            var tiles = (_matrices[i]!.Outputs + tileOutputs - 1) / tileOutputs;
            _tilesOfPiece[i] = (int)(((long)tiles + mostPieces - 1) / mostPieces) | 1;
            _firstPieces[i + 1] = _firstPieces[i] + ((tiles + _tilesOfPiece[i] - 1) / _tilesOfPiece[i]);
        }

        return _firstPieces[Count];
    }

    // The rows as the kernels take them for weights of a type.
    private Rows Prepared(WeightType type, Arena arena)
    {
        if (!_kernels.Prepares(type))
        {
            return new Rows { X = _x, Stride = _xStride };
        }

        var stride = EngineKernels.Padded(Inputs);
        var rows = new Rows { X = arena.Take((long)_rows * stride), Stride = stride, Steps = arena.Take(_rows) };
        for (var row = 0; row < _rows; row++)
        {
            rows.Steps[row] = _kernels.Prepare(type, _x + (row * _xStride), Inputs, rows.X + ((nint)row * stride));
        }

        return rows;
    }

    private ProductCall RowCall(int product)
    {
        var rows = _prepared[(int)_matrices[product]!.Type];
        return Call(product) with { X = rows.X, XStride = rows.Stride, Steps = rows.Steps };
    }

    private ProductCall Call(int product) => new()
    {
        Matrix = _matrices[product]!,
        Bias = (float*)_biases[product],
        X = _x + (_firstRow * _xStride),
        XStride = _xStride,
        Y = (float*)_targets[product] + (_firstRow * _strides[product]),
        YStride = _strides[product],
        Rows = _rows,
        Adds = _adds[product],
    };

    private struct Rows
    {
        public float* X;
        public nint Stride;
        public float* Steps;
    }
}
