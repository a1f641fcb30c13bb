using System.Text.Json;

namespace CoFrGeNet.Weights;

/// <summary>Reads the JSON header of a safetensors file and refuses everything that the format does not allow.</summary>
internal ref struct SafeTensorsHeaderParser
{
    private readonly string _path;
    private readonly long _dataStart;
    private readonly long _dataLength;
    private Utf8JsonReader _reader;
    private long _nameBytes;

    private SafeTensorsHeaderParser(string path, ReadOnlySpan<byte> json, long dataStart, long dataLength)
    {
        _path = path;
        _dataStart = dataStart;
        _dataLength = dataLength;
        _reader = new Utf8JsonReader(json);
    }

    /// <summary>Parses and checks a header.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="json">The header.</param>
    /// <param name="dataStart">Where the data begins, in bytes from the start of the file.</param>
    /// <param name="dataLength">The bytes of data in the file.</param>
    /// <exception cref="WeightsFormatException">The header is not valid.</exception>
    public static SafeTensorsHeader Parse(string path, ReadOnlySpan<byte> json, long dataStart, long dataLength)
    {
        try
        {
            return new SafeTensorsHeaderParser(path, json, dataStart, dataLength).Parse();
        }
        catch (JsonException e)
        {
            throw new WeightsFormatException(path, $"the header is not valid JSON at byte {e.BytePositionInLine ?? 0}", e);
        }
        catch (InvalidOperationException e)
        {
            // What the reader throws for strings that are not Unicode.
            throw new WeightsFormatException(path, "the header holds a string that is not valid Unicode", e);
        }
    }

    private SafeTensorsHeader Parse()
    {
        Expect(JsonTokenType.StartObject, "the header is not a JSON object");
        var names = new HashSet<string>(StringComparer.Ordinal);
        var tensors = new List<TensorInfo>();
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        while (ReadMember() is { } name)
        {
            if (!names.Add(name))
            {
                throw Fail($"the header names '{SafeTensorsHeader.Shorten(name)}' twice");
            }

            if (name == SafeTensorsHeader.MetadataKey)
            {
                ReadMetadata(metadata);
            }
            else
            {
                tensors.Add(ReadTensor(name));
                if (tensors.Count > SafeTensorsHeader.MaxTensors)
                {
                    throw Fail($"the header names more than {SafeTensorsHeader.MaxTensors} tensors");
                }
            }
        }

        if (_reader.Read())
        {
            throw Fail("the header goes on after its JSON object");
        }

        tensors.Sort((a, b) => a.ByteOffset != b.ByteOffset
            ? a.ByteOffset.CompareTo(b.ByteOffset)
            : a.ByteLength.CompareTo(b.ByteLength));
        CheckCover(tensors);
        return new SafeTensorsHeader(tensors, metadata);
    }

    private void ReadMetadata(Dictionary<string, string> metadata)
    {
        Expect(JsonTokenType.StartObject, "__metadata__ is not an object of strings");
        long bytes = 0;
        while (ReadMember() is { } key)
        {
            Expect(JsonTokenType.String, $"__metadata__ holds '{SafeTensorsHeader.Shorten(key)}', which is not a string");
            if ((bytes += _reader.ValueSpan.Length + key.Length) > SafeTensorsHeader.MaxMetadataBytes)
            {
                throw Fail($"__metadata__ takes more than {SafeTensorsHeader.MaxMetadataBytes} bytes");
            }

            if (!metadata.TryAdd(key, _reader.GetString()!))
            {
                throw Fail($"__metadata__ names '{SafeTensorsHeader.Shorten(key)}' twice");
            }
        }
    }

    private TensorInfo ReadTensor(string name)
    {
        var label = SafeTensorsHeader.Shorten(name);
        if (Next() != JsonTokenType.StartObject)
        {
            throw Fail($"the entry of '{label}' is not an object");
        }

        TensorDType? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        while (ReadMember() is { } member)
        {
            switch (member)
            {
                case "dtype" when type is null:
                    type = ReadDType(label);
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers("the shape of", label, SafeTensorsHeader.MaxDimensions);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers("data_offsets of", label, 2);
                    break;
                default:
                    throw Fail($"the entry of '{label}' has the unknown or repeated member '{SafeTensorsHeader.Shorten(member)}'");
            }
        }

        return type is { } dtype && shape is not null && offsets is not null
            ? CheckTensor(name, dtype, shape, offsets)
            : throw Fail($"the entry of '{label}' lacks dtype, shape or data_offsets");
    }

    private TensorDType ReadDType(string label)
    {
        if (Next() != JsonTokenType.String || _reader.ValueSpan.Length > SafeTensorsHeader.MaxNameBytes)
        {
            throw Fail($"the dtype of '{label}' is not a short string");
        }

        return TensorDTypes.TryParseHeaderName(_reader.GetString(), out var known)
            ? known
            : throw Fail($"'{label}' has the unknown dtype '{SafeTensorsHeader.Shorten(_reader.GetString()!)}'");
    }

    private readonly TensorInfo CheckTensor(string name, TensorDType type, long[] shape, long[] offsets)
    {
        var label = SafeTensorsHeader.Shorten(name);
        if (offsets.Length != 2 || offsets[1] < offsets[0])
        {
            throw Fail($"data_offsets of '{label}' are not a begin and an end");
        }

        if (offsets[1] > _dataLength)
        {
            throw Fail($"'{label}' ends at data byte {offsets[1]}, but the file has {_dataLength}: truncated?");
        }

        var bytes = (UInt128)type.SizeInBytes();
        foreach (var extent in shape)
        {
            // No file is longer than 2^63 bytes, so a larger product is wrong already; zero extents come first to keep it exact.
            bytes *= (UInt128)(shape.Contains(0) ? 0 : extent);
            if (bytes > long.MaxValue)
            {
                throw Fail($"the shape of '{label}' overflows");
            }
        }

        var length = offsets[1] - offsets[0];
        return bytes == (UInt128)length
            ? new TensorInfo(name, type, shape, _dataStart + offsets[0], length)
            : throw Fail($"'{label}' takes {bytes} bytes by its shape and dtype, but {length} by its data_offsets");
    }

    private readonly void CheckCover(List<TensorInfo> tensors)
    {
        var end = _dataStart;
        foreach (var tensor in tensors)
        {
            if (tensor.ByteOffset != end)
            {
                var what = tensor.ByteOffset < end ? "overlaps the tensor before it" : "has a hole before it";
                throw Fail($"'{SafeTensorsHeader.Shorten(tensor.Name)}' {what}");
            }

            end += tensor.ByteLength;
        }

        if (end != _dataStart + _dataLength)
        {
            throw Fail($"{_dataStart + _dataLength - end} bytes at the end belong to no tensor");
        }
    }

    private long[] ReadNumbers(string what, string label, int most)
    {
        if (Next() != JsonTokenType.StartArray)
        {
            throw Fail($"{what} '{label}' is not an array");
        }

        var numbers = new List<long>();
        while (Next() != JsonTokenType.EndArray)
        {
            if (_reader.TokenType != JsonTokenType.Number || !_reader.TryGetInt64(out var number) || number < 0)
            {
                throw Fail($"{what} '{label}' holds something that is not a whole number from 0 to 2^63-1");
            }

            if (numbers.Count == most)
            {
                throw Fail($"{what} '{label}' holds more than {most} numbers");
            }

            numbers.Add(number);
        }

        return [.. numbers];
    }

    /// <summary>The name of the next member of the current object, or null at its end.</summary>
    private string? ReadMember()
    {
        if (Next() != JsonTokenType.PropertyName)
        {
            return null;
        }

        if (_reader.ValueSpan.Length > SafeTensorsHeader.MaxNameBytes)
        {
            throw Fail($"the header holds a name of {_reader.ValueSpan.Length} bytes; {SafeTensorsHeader.MaxNameBytes} are allowed");
        }

        return (_nameBytes += _reader.ValueSpan.Length) <= SafeTensorsHeader.MaxAllNamesBytes
            ? _reader.GetString()
            : throw Fail($"the names in the header take more than {SafeTensorsHeader.MaxAllNamesBytes} bytes");
    }

    private JsonTokenType Next() => _reader.Read() ? _reader.TokenType : throw Fail("the header ends early");

    private void Expect(JsonTokenType type, string otherwise)
    {
        if (Next() != type)
        {
            throw Fail(otherwise);
        }
    }

    private readonly WeightsFormatException Fail(string reason) => new(_path, reason);
}
