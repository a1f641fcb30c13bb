using CoFrGeNet.Data;

namespace CoFrGeNet.Training;

/// <summary>The texts of inputs as preparing reads them, each one once, for whoever needs no more than the text.</summary>
public sealed class InputTexts
{
    private readonly DocumentFeed _feed;

    /// <summary>Finds the inputs.</summary>
    /// <param name="inputs">Paths of files and folders, or <c>-</c> for standard input.</param>
    /// <param name="field">The member of JSON lines that holds the text.</param>
    /// <param name="column">The column of Parquet files that holds the text.</param>
    /// <exception cref="UserErrorException">An input is missing.</exception>
    public InputTexts(IReadOnlyList<string> inputs, string field, string column) =>
        _feed = new DocumentFeed(new PreparationOptions { Inputs = inputs, Field = field, Column = column, ValidationShare = 0 }, new PartProgress(), new PartProgress());

    /// <summary>Texts read so far.</summary>
    public long Documents => _feed.Documents;

    /// <summary>Their bytes in UTF-8.</summary>
    public long Bytes => _feed.TextBytes;

    /// <summary>Lines and rows without a text so far.</summary>
    public long Skipped => _feed.Sources.Sum(source => source.Skipped.Values.Sum());

    /// <summary>Reads the texts.</summary>
    /// <param name="afterEach">Called after each.</param>
    /// <param name="stop">Ends waiting for standard input.</param>
    /// <exception cref="UserErrorException">An input is damaged.</exception>
    public IEnumerable<string> Read(Action afterEach, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(afterEach);
        foreach (var document in _feed.Read(stop))
        {
            yield return document.Text;
            afterEach();
        }
    }
}
