using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsvHelper;
using CsvHelper.Configuration;
using Parquet.Serialization;

namespace CoFrGeNet.Evaluation;

/// <summary>
/// Reads records from a file, told by its name: .jsonl, .json (a list), .csv, .tsv, .txt (a record a line with the field <c>text</c>) and
/// .parquet; all but the last also with .gz behind.
/// </summary>
public static class RecordFile
{
    /// <summary>The field of a line of a plain text file.</summary>
    public const string TextField = "text";

    /// <summary>The endings that can be read, without .gz.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".jsonl", ".json", ".parquet", ".csv", ".tsv", ".txt"];

    /// <summary>Whether a file's name is one that can be read.</summary>
    /// <param name="path">The file.</param>
    public static bool IsReadable(string path) => Extensions.Contains(Extension(path));

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="expectedFields">
    /// Names of which at least one stands in a header. A table whose first row holds none of them has no header; its columns are then
    /// named 1, 2 and so on. Empty: the first row is a header.
    /// </param>
    /// <returns>The records in their order.</returns>
    /// <exception cref="UserErrorException">The file is missing, of another kind, or damaged.</exception>
    public static IReadOnlyList<DataRecord> Read(string path, params IReadOnlyCollection<string> expectedFields)
    {
        if (!File.Exists(path))
        {
            throw new UserErrorException($"There is no data file {path}.");
        }

        try
        {
            return
            [
                .. Rows(path, expectedFields).Select((fields, i) => new DataRecord(fields, $"{Path.GetFileName(path)}, record {i + 1}")),
            ];
        }
        catch (Exception e) when (e is JsonException or InvalidDataException or IOException or CsvHelperException or DecoderFallbackException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"Cannot read the data file {path}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private static IEnumerable<JsonObject> Rows(string path, IReadOnlyCollection<string> expectedFields) => Extension(path) switch
    {
        ".jsonl" => Lines(path).Where(line => !string.IsNullOrWhiteSpace(line)).Select(line => AsObject(JsonNode.Parse(line))),
        ".json" => WholeJson(path),
        ".csv" => Table(path, ',', CsvMode.RFC4180, expectedFields),
        // GLUE's files: a quotation mark is a character like others.
        ".tsv" => Table(path, '\t', CsvMode.NoEscape, expectedFields),
        ".txt" => Lines(path).Select(line => new JsonObject { [TextField] = line }),
        ".parquet" => Parquet(path),
        var other => throw new UserErrorException(
            $"{path} ends in '{other}'; records are read from {string.Join(", ", Extensions)}, all but .parquet also with .gz behind."),
    };

    private static string Extension(string path)
    {
        var name = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? path[..^3] : path;
        return Path.GetExtension(name).ToLowerInvariant() is ".ndjson" ? ".jsonl" : Path.GetExtension(name).ToLowerInvariant();
    }

    private static StreamReader Open(string path)
    {
        Stream stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        if (path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
        {
            stream = new GZipStream(stream, CompressionMode.Decompress);
        }

        // Strict: bytes that are no text are an error, not question marks in the figures.
        return new StreamReader(stream, new UTF8Encoding(false, throwOnInvalidBytes: true));
    }

    // Not ReadLine: a lone CR or a line separator within JSON is no line end.
    private static IEnumerable<string> Lines(string path)
    {
        using var reader = Open(path);
        var text = reader.ReadToEnd();
        for (var start = 0; start < text.Length;)
        {
            var end = text.IndexOf('\n', start);
            end = end < 0 ? text.Length : end;
            yield return text[start..end].TrimEnd('\r');
            start = end + 1;
        }
    }

    private static IEnumerable<JsonObject> WholeJson(string path)
    {
        using var reader = Open(path);
        return JsonNode.Parse(reader.ReadToEnd()) is JsonArray list
            ? [.. list.Select(entry => AsObject(entry?.DeepClone()))]
            : throw new InvalidDataException("a .json file holds one list of objects; objects a line go into .jsonl");
    }

    private static JsonObject AsObject(JsonNode? node) => node as JsonObject ?? throw new InvalidDataException("a record is no JSON object");

    private static IEnumerable<JsonObject> Table(string path, char delimiter, CsvMode mode, IReadOnlyCollection<string> expectedFields)
    {
        using var reader = Open(path);
        using var parser = new CsvParser(reader, new CsvConfiguration(CultureInfo.InvariantCulture)
        {
            Delimiter = delimiter.ToString(),
            Mode = mode,
            HasHeaderRecord = false,
            IgnoreBlankLines = true,
        });
        string[]? names = null;
        while (parser.Read())
        {
            var row = parser.Record!;
            if (names is null)
            {
                var isHeader = expectedFields.Count == 0 || row.Any(expectedFields.Contains);
                names = isHeader ? row : [.. Enumerable.Range(1, row.Length).Select(i => i.ToString(CultureInfo.InvariantCulture))];
                if (isHeader)
                {
                    continue;
                }
            }

            if (row.Length != names.Length)
            {
                throw new InvalidDataException($"row {parser.Row} has {row.Length} columns, the first one {names.Length}");
            }

            var fields = new JsonObject();
            foreach (var (name, value) in names.Zip(row))
            {
                fields[name] = value;
            }

            yield return fields;
        }
    }

    private static IEnumerable<JsonObject> Parquet(string path)
    {
        using var stream = File.OpenRead(path);
        try
        {
            var result = ParquetSerializer.DeserializeUntypedAsync(stream).GetAwaiter().GetResult();
            return [.. result.Data.Select(row => (JsonObject)ToJson(row)!)];
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Parquet.Net meets damage with exceptions of many types.
            throw new InvalidDataException($"not a Parquet file that can be read ({e.Message})", e);
        }
    }

    private static JsonNode? ToJson(object? value) => value switch
    {
        null => null,
        string text => text,
        // As Parquet.Net gives texts without a type to read them into.
        ReadOnlyMemory<char> text => text.ToString(),
        ReadOnlyMemory<byte> bytes => Encoding.UTF8.GetString(bytes.Span),
        bool flag => flag,
        byte[] bytes => Encoding.UTF8.GetString(bytes),
        System.Collections.IDictionary map => ToObject(map),
        System.Collections.IEnumerable list => new JsonArray([.. list.Cast<object?>().Select(ToJson)]),
        float or double or decimal => Convert.ToDouble(value, CultureInfo.InvariantCulture),
        IConvertible number => Convert.ToInt64(number, CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };

    private static JsonObject ToObject(System.Collections.IDictionary map)
    {
        var result = new JsonObject();
        foreach (System.Collections.DictionaryEntry entry in map)
        {
            result[entry.Key.ToString()!] = ToJson(entry.Value);
        }

        return result;
    }
}
