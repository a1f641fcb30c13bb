using CoFrGeNet.Configuration;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Interop;

/// <summary>
/// The tensors of one of our models with their matrices rounded to fewer bits, computed when they are read. Norms, biases, positions, triangles and everything of
/// ladders stay as they are. What it reads from stays open after it.
/// </summary>
internal sealed class QuantizedTensors : TensorSource
{
    private const string Weight = ".weight";
    private const string Embedding = "token_embedding";
    private const string Head = "head";

    // What mixers do with errors costs a small model twice the perplexity of the same errors in its feed-forward.
    private const string Mixer = ".mixer.";

    // Levels of ladders and what weighs their outputs: few, and what poles make of a rounding error is not small. Those of forget gates add up over a text.
    private static readonly string[] LadderParts = [".ladders.", ".combine.", ".forget."];

    private readonly TensorSource _source;
    private readonly WeightType _type;
    private readonly Lock _lock = new();

    // A tensor that is read in pieces is rounded once, its scales with it.
    private (string Name, byte[] Rows, byte[] Scales)? _last;

    private QuantizedTensors(TensorSource source, WeightType type)
        : base(source.Path, [.. source.Tensors.SelectMany(info => Infos(info, type))], source.Metadata)
    {
        _source = source;
        _type = type;
    }

    /// <summary>Rounds the matrices of a model.</summary>
    /// <param name="source">Its tensors under our names, of float types.</param>
    /// <param name="type">What the matrices become.</param>
    /// <exception cref="UserErrorException">The model was rounded before.</exception>
    public static QuantizedTensors Of(TensorSource source, WeightType type) =>
        source.Tensors.FirstOrDefault(info => !info.DType.IsFloat()) is { } integers
            ? throw new UserErrorException($"{source.Path}: tensor '{integers.Name}' holds {integers.DType.ToHeaderName()}; what is quantized already cannot be quantized again, take the model that it was made of.")
            : new QuantizedTensors(source, type);

    /// <inheritdoc/>
    private protected override void ReadBytes(TensorInfo info, long byteOffset, Span<byte> destination)
    {
        var isScale = info.Name.EndsWith(QuantizedRows.ScaleSuffix, StringComparison.Ordinal) && !_source.TryGet(info.Name, out _);
        var name = isScale ? info.Name[..^QuantizedRows.ScaleSuffix.Length] : info.Name;
        if (TypeOf(_source[name], _type) is not { } type)
        {
            _source.ReadPart(name, byteOffset, destination);
            return;
        }

        lock (_lock)
        {
            if (_last is not { } last || last.Name != name)
            {
                _last = last = Round(_source[name], type);
            }

            (isScale ? last.Scales : last.Rows).AsSpan((int)byteOffset, destination.Length).CopyTo(destination);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => _last = null;

    // What a tensor becomes; null: it stays.
    private static WeightType? TypeOf(TensorInfo info, WeightType type)
    {
        var isTable = info.Name is Embedding or Head + Weight;
        if (info.Shape.Length != 2 || (!isTable && (!info.Name.EndsWith(Weight, StringComparison.Ordinal) || LadderParts.Any(part => info.Name.Contains(part, StringComparison.Ordinal)))))
        {
            return null;
        }

        var isFine = isTable || info.Name.Contains(Mixer, StringComparison.Ordinal) || info.Shape[1] % QuantizedRows.BlockInputs != 0;
        return type == WeightType.Int4 && isFine ? WeightType.Int8 : type;
    }

    private static IEnumerable<TensorInfo> Infos(TensorInfo info, WeightType wanted)
    {
        if (TypeOf(info, wanted) is not { } type)
        {
            return [info];
        }

        var (outputs, inputs) = (info.Shape[0], checked((int)info.Shape[1]));
        TensorInfo Of(string name, TensorDType dtype, long bytes, params long[] shape) => new(name, dtype, shape, 0, checked(outputs * bytes));
        var rowBytes = QuantizedRows.RowBytes(type, inputs);
        var scales = info.Name + QuantizedRows.ScaleSuffix;
        return type switch
        {
            WeightType.Float32 => [Of(info.Name, TensorDType.F32, rowBytes, outputs, inputs)],
            WeightType.BFloat16 => [Of(info.Name, TensorDType.BF16, rowBytes, outputs, inputs)],
            WeightType.Int8 => [Of(info.Name, TensorDType.I8, rowBytes, outputs, inputs), Of(scales, TensorDType.F32, sizeof(float), outputs)],
            _ =>
            [
                Of(info.Name, TensorDType.U8, rowBytes, outputs, rowBytes),
                Of(scales, TensorDType.BF16, QuantizedRows.ScaleBytes(type, inputs), outputs, inputs / QuantizedRows.BlockInputs),
            ],
        };
    }

    private (string Name, byte[] Rows, byte[] Scales) Round(TensorInfo info, WeightType type)
    {
        var (outputs, inputs) = (checked((int)info.Shape[0]), checked((int)info.Shape[1]));
        int rowBytes = QuantizedRows.RowBytes(type, inputs), scaleBytes = QuantizedRows.ScaleBytes(type, inputs), size = info.DType.SizeInBytes();
        if ((long)outputs * rowBytes > Array.MaxLength)
        {
            throw new UserErrorException($"{Path}: tensor '{info.Name}' would take {(long)outputs * rowBytes} bytes, more than can be rounded at once; {Array.MaxLength} are possible.");
        }

        byte[] rows = new byte[outputs * rowBytes], scales = new byte[outputs * scaleBytes];
        Parallel.For(0, outputs, () => (Raw: new byte[inputs * size], Values: new float[inputs]), (row, _, buffers) =>
        {
            _source.ReadPart(info.Name, (long)row * buffers.Raw.Length, buffers.Raw);
            Widen(info.DType, buffers.Raw, buffers.Values);
            QuantizedRows.Round(type, buffers.Values, rows.AsSpan(row * rowBytes, rowBytes), scales.AsSpan(row * scaleBytes, scaleBytes));
            return buffers;
        }, _ => { });
        return (info.Name, rows, scales);
    }
}
