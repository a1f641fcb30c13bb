using System.Text;

namespace CoFrGeNet.Weights;

/// <summary>What the header of a safetensors file says, checked.</summary>
/// <param name="Tensors">The tensors in the order of their data.</param>
/// <param name="Metadata">The string map of the file, empty if it has none.</param>
internal sealed record SafeTensorsHeader(IReadOnlyList<TensorInfo> Tensors, IReadOnlyDictionary<string, string> Metadata)
{
    /// <summary>The key of the string map among the tensors' names.</summary>
    public const string MetadataKey = "__metadata__";

    /// <summary>The bytes of the header's length in front of it.</summary>
    public const int LengthBytes = 8;

    /// <summary>The longest header that is read, in bytes, as the format prescribes.</summary>
    public const long MaxLength = 100_000_000;

    /// <summary>The most tensors of a file; the largest published models have as many in all their shards together, and it bounds the memory.</summary>
    public const int MaxTensors = 65_536;

    /// <summary>The longest name in a header, in bytes as they stand in the file.</summary>
    public const int MaxNameBytes = 4096;

    /// <summary>The most bytes of all names and members of entries together; 65,536 tensors take 24 at each entry beside their names.</summary>
    public const int MaxAllNamesBytes = 16 << 20;

    /// <summary>The most extents of a shape.</summary>
    public const int MaxDimensions = 16;

    /// <summary>The most bytes of texts in the string map.</summary>
    public const int MaxMetadataBytes = 16 << 20;

    /// <summary>Keeps messages to one short line whatever a name in the file holds.</summary>
    public static string Shorten(string name)
    {
        if (name.Length <= 80 && !name.Any(char.IsControl))
        {
            return name;
        }

        var text = new StringBuilder();
        foreach (var c in name.AsSpan(0, Math.Min(name.Length, 80)))
        {
            text.Append(char.IsControl(c) ? '?' : c);
        }

        return name.Length > 80 ? text.Append("...").ToString() : text.ToString();
    }
}
