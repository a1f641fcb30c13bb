namespace CoFrGeNet.Inference;

/// <summary>Something that is done with each row by itself.</summary>
internal sealed class RowWork : Work
{
    /// <summary>Rows of a piece: a block of positions of the cache, so that no two threads write to the same cache line.</summary>
    public const int PieceRows = 16;

    private Action<int> _action = _ => { };
    private int _rows;

    /// <summary>Prepares the work.</summary>
    /// <param name="action">What is done with the row of a number.</param>
    /// <param name="rows">Number of rows.</param>
    /// <returns>Number of pieces.</returns>
    public int Prepare(Action<int> action, int rows)
    {
        (_action, _rows) = (action, rows);
        return (rows + PieceRows - 1) / PieceRows;
    }

    /// <inheritdoc/>
    public override void Run(int piece, int thread)
    {
        var end = Math.Min(_rows, (piece + 1) * PieceRows);
        for (var row = piece * PieceRows; row < end; row++)
        {
            _action(row);
        }
    }
}
