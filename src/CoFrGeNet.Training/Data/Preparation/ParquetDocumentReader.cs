using CoFrGeNet.Text;
using Parquet;
using Parquet.Schema;

namespace CoFrGeNet.Training;

/// <summary>Reads a column of text from a Parquet file, a row a document; a row group is held in memory at a time.</summary>
internal sealed class ParquetDocumentReader : DocumentReader
{
    private readonly string _path;
    private readonly ParquetReader _reader;
    private readonly DataField _field;
    private string?[] _rows = [];
    private int _row;
    private int _group;

    /// <summary>Opens a file.</summary>
    /// <exception cref="UserErrorException">It cannot be opened, is no Parquet file, or has no such column of text.</exception>
    public ParquetDocumentReader(string path, string column, int longestDocument)
        : base(longestDocument)
    {
        _path = path;
        _reader = Try(() => ParquetReader.CreateAsync(path));
        try
        {
            var fields = _reader.Schema.GetDataFields();
            _field = fields.FirstOrDefault(field => field.Path.ToString() == column) ?? throw new UserErrorException(
                $"'{path}' has no column '{column}'; it has {string.Join(", ", fields.Select(field => field.Path.ToString()))}, give one with --column");
            if ((_field.ClrType != typeof(string) && _field.ClrType != typeof(ReadOnlyMemory<char>)) || _field.IsArray)
            {
                throw new UserErrorException($"the column '{column}' of '{path}' holds {_field.ClrType.Name}, not text; give another with --column");
            }
        }
        catch
        {
            _reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw;
        }
    }

    /// <inheritdoc/>
    protected override string? ReadNext()
    {
        WasCut = false;
        while (true)
        {
            while (_row < _rows.Length)
            {
                var text = _rows[_row];
                _rows[_row++] = null;
                if (!string.IsNullOrWhiteSpace(text))
                {
                    return text.Replace("\r\n", "\n", StringComparison.Ordinal);
                }

                Skipped?.Invoke(text is null ? "no value" : "empty text", $"{_path}, row group {_group - 1}, row {_row - 1}");
            }

            if (_group == _reader.RowGroupCount)
            {
                return null;
            }

            _rows = ReadGroup(_group++);
            _row = 0;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => _reader.DisposeAsync().AsTask().GetAwaiter().GetResult();

    private string?[] ReadGroup(int index) => Try(async () =>
    {
        using var group = _reader.OpenRowGroupReader(index);
        var rows = new string?[group.RowCount];
        await group.ReadAsync(_field, rows.AsMemory()!).ConfigureAwait(false);
        return rows;
    });

    // Damaged files make the library throw whatever its parsing runs into.
#pragma warning disable CA1031
    private T Try<T>(Func<Task<T>> read)
    {
        try
        {
            return read().GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new UserErrorException($"'{_path}' cannot be read as a Parquet file: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }
#pragma warning restore CA1031
}
