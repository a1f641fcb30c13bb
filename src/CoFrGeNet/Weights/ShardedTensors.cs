using System.Text.Json;

namespace CoFrGeNet.Weights;

/// <summary>Tensors in several files, with the index that Hugging Face writes beside them: a map from tensor to file name.</summary>
public sealed class ShardedTensors : TensorSource
{
    private const long MaxIndexLength = 16 << 20;

    private readonly IReadOnlyList<TensorSource> _shards;
    private readonly Dictionary<string, TensorSource> _shardOf;

    private ShardedTensors(string path, IReadOnlyList<TensorSource> shards)
        : base(path, [.. shards.SelectMany(shard => shard.Tensors)], shards[0].Metadata)
    {
        _shards = shards;
        _shardOf = shards.SelectMany(shard => shard.Names.Select(name => (name, shard))).ToDictionary(entry => entry.name, entry => entry.shard, StringComparer.Ordinal);
    }

    /// <summary>Opens every shard that an index names, and checks that shards and index agree.</summary>
    /// <param name="indexPath">The index; the shards lie in its folder.</param>
    /// <returns>The open tensors; dispose them.</returns>
    /// <exception cref="UserErrorException">A file is missing or cannot be opened.</exception>
    /// <exception cref="WeightsFormatException">The index or a shard breaks its format, or they contradict each other.</exception>
    public static ShardedTensors Open(string indexPath)
    {
        var map = ReadMap(indexPath);
        var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(indexPath))!;
        var shards = new List<TensorSource>();
        try
        {
            foreach (var file in map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                var path = System.IO.Path.Combine(folder, file);
                shards.Add(file.EndsWith(".safetensors", StringComparison.Ordinal) ? SafeTensorsFile.Open(path) : PyTorchFile.Open(path));
            }

            Check(indexPath, map, shards);
            return new ShardedTensors(indexPath, shards);
        }
        catch
        {
            shards.ForEach(shard => shard.Dispose());
            throw;
        }
    }

    /// <inheritdoc/>
    public override bool TryView(string name, out ReadOnlySpan<byte> bytes) => _shardOf[this[name].Name].TryView(name, out bytes);

    /// <inheritdoc/>
    private protected override void ReadBytes(TensorInfo info, long byteOffset, Span<byte> destination) =>
        _shardOf[info.Name].ReadPart(info.Name, byteOffset, destination);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (var shard in _shards)
            {
                shard.Dispose();
            }
        }
    }

    private static void Check(string path, Dictionary<string, string> map, List<TensorSource> shards)
    {
        foreach (var shard in shards)
        {
            var file = System.IO.Path.GetFileName(shard.Path);
            foreach (var name in shard.Names)
            {
                if (!map.Remove(name, out var expected))
                {
                    throw new WeightsFormatException(path, $"{file} holds '{SafeTensorsHeader.Shorten(name)}', which the index does not name or another shard holds too");
                }

                if (expected != file)
                {
                    throw new WeightsFormatException(path, $"'{SafeTensorsHeader.Shorten(name)}' shall be in {expected}, but is in {file}");
                }
            }
        }

        if (map.Count > 0)
        {
            var (name, file) = map.First();
            throw new WeightsFormatException(path, $"'{SafeTensorsHeader.Shorten(name)}' shall be in {file}, but is not there");
        }
    }

    private static Dictionary<string, string> ReadMap(string path)
    {
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            using var handle = WeightFiles.OpenHandle(path);
            var length = RandomAccess.GetLength(handle);
            if (length > MaxIndexLength)
            {
                throw new WeightsFormatException(path, $"an index of {length} bytes is over the limit of {MaxIndexLength}");
            }

            var json = new byte[length];
            SafeTensorsFile.ReadExactly(path, handle, json, 0);
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 16 });
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("weight_map", out var weights) || weights.ValueKind != JsonValueKind.Object)
            {
                throw new WeightsFormatException(path, "the index has no object 'weight_map'");
            }

            foreach (var entry in weights.EnumerateObject())
            {
                map.Add(entry.Name, CheckFileName(path, entry.Value));
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new WeightsFormatException(path, "the index is not valid JSON, or names something twice", e);
        }

        return map.Count > 0 ? map : throw new WeightsFormatException(path, "the index names no tensor");
    }

    // An index is somebody else's text: it must not lead out of its folder.
    private static string CheckFileName(string path, JsonElement value)
    {
        var name = value.ValueKind == JsonValueKind.String ? value.GetString()! : string.Empty;
        var isPlain = name.Length is > 0 and <= 255 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_') && name[0] != '.';
        return isPlain ? name : throw new WeightsFormatException(path, $"the index names a file '{SafeTensorsHeader.Shorten(name)}', which is not a plain file name");
    }
}
