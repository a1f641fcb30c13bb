using CoFrGeNet.Weights;

namespace CoFrGeNet.Interop;

/// <summary>The tensors that rules make of other tensors, computed when they are read. What it reads from stays open after it.</summary>
internal sealed class ArrangedTensors : TensorSource
{
    private readonly TensorSource _source;
    private readonly Dictionary<string, TensorRule> _rules;
    private readonly Lock _lock = new();

    // A tensor that is read in pieces is arranged once.
    private (string Name, int Part, byte[] Bytes)? _last;

    private ArrangedTensors(TensorSource source, IReadOnlyList<TensorRule> rules)
        : base(source.Path, [.. rules.Select(rule => Info(source, rule))], source.Metadata)
    {
        _source = source;
        _rules = rules.ToDictionary(rule => rule.Name, StringComparer.Ordinal);
    }

    /// <summary>Arranges tensors; every part must be there, of its shape and of a float type.</summary>
    /// <param name="source">Where the parts are read from.</param>
    /// <param name="rules">The tensors to make.</param>
    /// <exception cref="UserErrorException">A part is missing or has another shape or type.</exception>
    public static ArrangedTensors Of(TensorSource source, IReadOnlyList<TensorRule> rules)
    {
        foreach (var part in rules.SelectMany(rule => rule.Parts))
        {
            if (!source.TryGet(part.Name, out var info))
            {
                throw new UserErrorException($"{source.Path} has no tensor '{part.Name}', which the configuration needs; are the configuration and the weights of the same model?");
            }

            if (!info.Shape.AsSpan().SequenceEqual(part.Shape))
            {
                throw new UserErrorException($"{source.Path}: tensor '{part.Name}' has shape [{string.Join(", ", info.Shape)}], the configuration needs [{string.Join(", ", part.Shape)}]; are they of the same model?");
            }

            if (!info.DType.IsFloat())
            {
                throw new UserErrorException($"{source.Path}: tensor '{part.Name}' holds {info.DType.ToHeaderName()}; weights are F32, F16, BF16 or F64. Quantized checkpoints cannot be converted.");
            }
        }

        return new ArrangedTensors(source, rules);
    }

    /// <inheritdoc/>
    private protected override void ReadBytes(TensorInfo info, long byteOffset, Span<byte> destination)
    {
        var rule = _rules[info.Name];
        var size = info.DType.SizeInBytes();
        if (rule.Parts.Count == 0)
        {
            destination.Clear();
            return;
        }

        long start = 0;
        for (var i = 0; i < rule.Parts.Count && !destination.IsEmpty; i++)
        {
            var length = rule.Parts[i].View.Count * size;
            var within = byteOffset - start;
            start += length;
            if (within >= length)
            {
                continue;
            }

            var count = (int)Math.Min(length - within, destination.Length);
            ReadPart(info, i, within, destination[..count]);
            destination = destination[count..];
            byteOffset += count;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => _last = null;

    // Parts of one type keep it, so that nothing is lost or gained; parts of several types meet in float32.
    private static TensorInfo Info(TensorSource source, TensorRule rule)
    {
        var types = rule.Parts.Select(part => source[part.Name].DType).Distinct().ToArray();
        var type = types.Length == 1 ? types[0] : TensorDType.F32;
        return new TensorInfo(rule.Name, type, rule.Shape, 0, checked(rule.Shape.Aggregate(1L, (product, extent) => product * extent) * type.SizeInBytes()));
    }

    private void ReadPart(TensorInfo info, int index, long byteOffset, Span<byte> destination)
    {
        var part = _rules[info.Name].Parts[index];
        var size = info.DType.SizeInBytes();
        if (part.IsContiguous && _source[part.Name].DType == info.DType)
        {
            _source.ReadPart(part.Name, (part.View.Offset * size) + byteOffset, destination);
            return;
        }

        lock (_lock)
        {
            if (_last is not { } last || last.Name != info.Name || last.Part != index)
            {
                _last = last = (info.Name, index, Arrange(part, info.DType));
            }

            last.Bytes.AsSpan((int)byteOffset, destination.Length).CopyTo(destination);
        }
    }

    private byte[] Arrange(TensorPart part, TensorDType type)
    {
        var info = _source[part.Name];
        var size = type.SizeInBytes();
        if (Math.Max(info.ByteLength, info.ElementCount * size) > Array.MaxLength)
        {
            throw new UserErrorException($"{Path}: tensor '{part.Name}' has {info.ByteLength} bytes, more than can be rearranged; {Array.MaxLength} are possible.");
        }

        var bytes = new byte[info.ByteLength];
        _source.Read(part.Name, bytes);
        if (info.DType != type)
        {
            var wide = new byte[info.ElementCount * size];
            Widen(info.DType, bytes, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(wide.AsSpan()));
            bytes = wide;
        }

        var arranged = new byte[part.View.Count * size];
        part.View.Gather(bytes, size, arranged);
        return arranged;
    }
}
