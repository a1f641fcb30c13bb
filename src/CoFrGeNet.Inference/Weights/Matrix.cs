using CoFrGeNet.Configuration;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Inference;

/// <summary>The weights of a linear map, outputs x inputs, row by row in the memory map of their file or a copy; whoever made it keeps the memory.</summary>
internal sealed unsafe class Matrix
{
    /// <summary>Describes weights.</summary>
    /// <param name="type">How they lie in memory.</param>
    /// <param name="data">The first row.</param>
    /// <param name="scales">float32 of each row (int8) or bfloat16 of each block (int4); null otherwise.</param>
    /// <param name="outputs">Number of rows.</param>
    /// <param name="inputs">Number of columns.</param>
    public Matrix(WeightType type, byte* data, byte* scales, int outputs, int inputs)
    {
        Type = type;
        Data = data;
        Scales = scales;
        Outputs = outputs;
        Inputs = inputs;
        RowBytes = QuantizedRows.RowBytes(type, inputs);
        ScaleRowBytes = QuantizedRows.ScaleBytes(type, inputs);
    }

    /// <summary>How they lie in memory.</summary>
    public WeightType Type { get; }

    /// <summary>The first row.</summary>
    public byte* Data { get; }

    /// <summary>The scales of the first row.</summary>
    public byte* Scales { get; }

    /// <summary>Number of rows.</summary>
    public int Outputs { get; }

    /// <summary>Number of columns.</summary>
    public int Inputs { get; }

    /// <summary>From a row to the next.</summary>
    public nint RowBytes { get; }

    /// <summary>From the scales of a row to those of the next.</summary>
    public nint ScaleRowBytes { get; }

    /// <summary>What a product reads.</summary>
    public long Bytes => (RowBytes + ScaleRowBytes) * (long)Outputs;

    /// <summary>Neighbouring values of a row.</summary>
    /// <param name="row">Which row.</param>
    /// <param name="first">The first input; of int4 the first one of a block.</param>
    /// <param name="count">Number of inputs; of int4 whole blocks.</param>
    /// <param name="target">Receives them.</param>
    public void Widen(int row, int first, int count, float* target)
    {
        var start = Type switch
        {
            WeightType.Float32 => first * sizeof(float),
            WeightType.BFloat16 => first * sizeof(ushort),
            WeightType.Int8 => first,
            _ => first / 2,
        };
        var scales = Scales + (row * ScaleRowBytes) + (Type == WeightType.Int4 ? first / QuantizedRows.BlockInputs * sizeof(ushort) : 0);
        QuantizedRows.Widen(
            Type,
            new ReadOnlySpan<byte>(Data + (row * RowBytes) + start, QuantizedRows.RowBytes(Type, count)),
            new ReadOnlySpan<byte>(scales, QuantizedRows.ScaleBytes(Type, count)),
            new Span<float>(target, count));
    }
}
