using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Weights;

/// <summary>Writes safetensors files: aside, flushed to the disk and renamed, so that a file of that name is always whole.</summary>
public static class SafeTensorsWriter
{
    /// <summary>Writes a file, replacing an old one. The same entries give the same bytes.</summary>
    /// <param name="path">The file; its directory must exist.</param>
    /// <param name="entries">
    /// The tensors. Their data is written in this order, but wider element types first, so that every tensor is aligned.
    /// </param>
    /// <param name="metadata">The string map of the file, for example format = pt, or null.</param>
    /// <exception cref="ArgumentException">Two entries share a name, or a name is reserved, or a shape is negative.</exception>
    /// <exception cref="InvalidOperationException">
    /// An entry wrote more or fewer bytes than its shape says; nothing is left behind.
    /// </exception>
    public static void Write(string path, IEnumerable<TensorEntry> entries, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(entries);
        var ordered = entries.OrderByDescending(e => e.DType.SizeInBytes()).ToArray();
        Check(ordered);
        var header = BuildHeader(ordered, metadata);
        DurableFile.Write(path, stream =>
        {
            stream.Write(header.Span);
            foreach (var entry in ordered)
            {
                var start = stream.Position;
                entry.Write(stream);
                var written = stream.Position - start;
                if (written != entry.ByteLength)
                {
                    throw new InvalidOperationException($"'{entry.Name}' wrote {written} bytes instead of {entry.ByteLength}");
                }
            }
        });
    }

    private static void Check(TensorEntry[] entries)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            if (entry.Name == SafeTensorsHeader.MetadataKey || !names.Add(entry.Name))
            {
                throw new ArgumentException($"the tensor name '{entry.Name}' is reserved or used twice", nameof(entries));
            }

            if (entry.Shape.Any(extent => extent < 0))
            {
                throw new ArgumentException($"'{entry.Name}' has a negative extent", nameof(entries));
            }
        }
    }

    private static ReadOnlyMemory<byte> BuildHeader(TensorEntry[] entries, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        BinaryPrimitives.WriteUInt64LittleEndian(buffer.GetSpan(SafeTensorsHeader.LengthBytes), 0);
        buffer.Advance(SafeTensorsHeader.LengthBytes);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            WriteMetadata(json, metadata);
            var offset = 0L;
            foreach (var entry in entries)
            {
                var end = checked(offset + entry.ByteLength);
                WriteEntry(json, entry, offset, end);
                offset = end;
            }

            json.WriteEndObject();
        }

        // Spaces up to a multiple of 8 keep the data aligned.
        var padding = -buffer.WrittenCount & 7;
        buffer.GetSpan(8)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        var length = buffer.WrittenCount - SafeTensorsHeader.LengthBytes;
        if (length > SafeTensorsHeader.MaxLength)
        {
            throw new ArgumentException($"the header takes {length} bytes; {SafeTensorsHeader.MaxLength} are allowed", nameof(entries));
        }

        var bytes = buffer.WrittenSpan.ToArray();
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)length);
        return bytes;
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is null || metadata.Count == 0)
        {
            return;
        }

        json.WriteStartObject(SafeTensorsHeader.MetadataKey);
        foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter json, TensorEntry entry, long begin, long end)
    {
        json.WriteStartObject(entry.Name);
        json.WriteString("dtype", entry.DType.ToHeaderName());
        json.WriteStartArray("shape");
        foreach (var extent in entry.Shape)
        {
            json.WriteNumberValue(extent);
        }

        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(begin);
        json.WriteNumberValue(end);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
