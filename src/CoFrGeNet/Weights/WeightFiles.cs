using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Storage;
using Microsoft.Win32.SafeHandles;

namespace CoFrGeNet.Weights;

/// <summary>The weights of a folder under the names that Hugging Face folders use, in one file or in shards with an index.</summary>
public static class WeightFiles
{
    /// <summary>The one safetensors file of a folder.</summary>
    public const string SafeTensors = "model.safetensors";

    /// <summary>The index of a folder whose safetensors are in shards.</summary>
    public const string SafeTensorsIndex = SafeTensors + ".index.json";

    /// <summary>The one PyTorch file of a folder.</summary>
    public const string PyTorch = "pytorch_model.bin";

    /// <summary>The index of a folder whose PyTorch files are in shards.</summary>
    public const string PyTorchIndex = PyTorch + ".index.json";

    private static readonly JsonSerializerOptions IndexOptions = new() { WriteIndented = true };

    /// <summary>The file names that <see cref="Open"/> looks for, the preferred one first.</summary>
    public static IReadOnlyList<string> Names { get; } = [SafeTensors, SafeTensorsIndex, PyTorch, PyTorchIndex];

    /// <summary>Opens the weights of a folder.</summary>
    /// <param name="folder">A folder that holds one of <see cref="Names"/>.</param>
    /// <returns>The open tensors; dispose them.</returns>
    /// <exception cref="UserErrorException">No such file is in the folder, or one cannot be opened.</exception>
    /// <exception cref="WeightsFormatException">A file breaks its format.</exception>
    public static TensorSource Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var name = Names.FirstOrDefault(candidate => File.Exists(Path.Combine(folder, candidate)))
            ?? throw new UserErrorException($"There is no {Path.Combine(folder, SafeTensors)}; a model folder needs its weights, one of {string.Join(", ", Names)}.");
        var path = Path.Combine(folder, name);
        return name switch
        {
            SafeTensors => SafeTensorsFile.Open(path),
            PyTorch => PyTorchFile.Open(path),
            _ => ShardedTensors.Open(path),
        };
    }

    /// <summary>Writes tensors into a folder: one file, or shards with an index where they are larger than a limit.</summary>
    /// <param name="folder">An existing folder; files of the same names are replaced.</param>
    /// <param name="entries">The tensors.</param>
    /// <param name="shardBytes">The most bytes of data in a file; a tensor larger than that gets a file of its own.</param>
    /// <param name="metadata">The string map of every file, for example format = pt, or null.</param>
    /// <returns>The names of the files, the index last.</returns>
    public static IReadOnlyList<string> Write(
        string folder, IEnumerable<TensorEntry> entries, long shardBytes = long.MaxValue, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(entries);
        ArgumentOutOfRangeException.ThrowIfLessThan(shardBytes, 1);
        var shards = Split(entries, shardBytes);
        if (shards.Count == 1)
        {
            SafeTensorsWriter.Write(Path.Combine(folder, SafeTensors), shards[0], metadata);
            return [SafeTensors];
        }

        var names = new List<string>();
        for (var i = 0; i < shards.Count; i++)
        {
            names.Add($"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors");
            SafeTensorsWriter.Write(Path.Combine(folder, names[i]), shards[i], metadata);
        }

        var index = new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = shards.Sum(shard => shard.Sum(entry => entry.ByteLength)) },
            ["weight_map"] = new JsonObject(shards.SelectMany((shard, i) => shard.Select(entry => KeyValuePair.Create(entry.Name, (JsonNode?)names[i])))),
        };
        DurableFile.Write(Path.Combine(folder, SafeTensorsIndex), System.Text.Encoding.UTF8.GetBytes(index.ToJsonString(IndexOptions) + "\n"));
        return [.. names, SafeTensorsIndex];
    }

    private static List<List<TensorEntry>> Split(IEnumerable<TensorEntry> entries, long shardBytes)
    {
        var shards = new List<List<TensorEntry>> { new() };
        long bytes = 0;
        foreach (var entry in entries)
        {
            if (shards[^1].Count > 0 && entry.ByteLength > shardBytes - bytes)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(entry);
            bytes += entry.ByteLength;
        }

        return shards;
    }

    /// <summary>Opens a file for reads at any place.</summary>
    internal static SafeFileHandle OpenHandle(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.RandomAccess);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot open weights '{path}': {e.Message}", e);
        }
    }
}
