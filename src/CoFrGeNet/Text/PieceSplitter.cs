namespace CoFrGeNet.Text;

/// <summary>Cuts text into the pieces that byte-pair encoding joins no tokens across. Immutable, so that threads may share it.</summary>
internal abstract class PieceSplitter
{
    /// <summary>Finds where a piece ends.</summary>
    /// <param name="text">The whole text.</param>
    /// <param name="start">Where the piece begins; inside the text.</param>
    /// <returns>The index after its last UTF-16 unit; greater than <paramref name="start"/>.</returns>
    public abstract int EndOfPiece(ReadOnlySpan<char> text, int start);
}
