using System.Runtime.InteropServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Weights;

// Dimensions: n = inputs of a row, b = n / 32 blocks.

/// <summary>
/// Rows of a matrix in few bits, by rounding to nearest. int8: q [n] and one scale s, w = s q with |q| &lt;= 127. int4: blocks of 32 inputs, 16 bytes each whose lower
/// halves are inputs 0 .. 15 and whose upper halves are inputs 16 .. 31, as q + 8; w = s q with -8 &lt;= q &lt;= 7 and a bfloat16 scale a block.
/// </summary>
public static class QuantizedRows
{
    /// <summary>Inputs of an int4 block.</summary>
    public const int BlockInputs = 32;

    /// <summary>What a scales tensor is called: the name of its matrix and this.</summary>
    public const string ScaleSuffix = ".scale";

    // Candidates for an int4 block's scale, around the one that just reaches its largest value.
    private const int ScaleCandidates = 17;

    /// <summary>Bytes of a row without its scales.</summary>
    /// <param name="type">How it is stored.</param>
    /// <param name="inputs">n; for int4 a multiple of <see cref="BlockInputs"/>.</param>
    public static int RowBytes(WeightType type, int inputs) => type switch
    {
        WeightType.Float32 => checked(inputs * sizeof(float)),
        WeightType.BFloat16 => checked(inputs * sizeof(ushort)),
        WeightType.Int8 => inputs,
        _ => inputs / 2,
    };

    /// <summary>Bytes of a row's scales.</summary>
    /// <param name="type">How it is stored.</param>
    /// <param name="inputs">n.</param>
    public static int ScaleBytes(WeightType type, int inputs) => type switch
    {
        WeightType.Int8 => sizeof(float),
        WeightType.Int4 => inputs / BlockInputs * sizeof(ushort),
        _ => 0,
    };

    /// <summary>Rounds a row.</summary>
    /// <param name="type">How it is stored.</param>
    /// <param name="values">The values, [n].</param>
    /// <param name="row">Receives <see cref="RowBytes"/> bytes.</param>
    /// <param name="scales">Receives <see cref="ScaleBytes"/> bytes.</param>
    public static void Round(WeightType type, ReadOnlySpan<float> values, Span<byte> row, Span<byte> scales)
    {
        switch (type)
        {
            case WeightType.Float32:
                values.CopyTo(MemoryMarshal.Cast<byte, float>(row));
                break;
            case WeightType.BFloat16:
                BFloat16Rows.FromSingle(values, MemoryMarshal.Cast<byte, ushort>(row));
                break;
            case WeightType.Int8:
                RoundBytes(values, MemoryMarshal.Cast<byte, sbyte>(row), ref MemoryMarshal.Cast<byte, float>(scales)[0]);
                break;
            default:
                for (var block = 0; block < values.Length / BlockInputs; block++)
                {
                    RoundBlock(values.Slice(block * BlockInputs, BlockInputs), row.Slice(block * BlockInputs / 2, BlockInputs / 2), ref MemoryMarshal.Cast<byte, ushort>(scales)[block]);
                }

                break;
        }
    }

    /// <summary>The values of a row.</summary>
    /// <param name="type">How it is stored.</param>
    /// <param name="row">Its bytes.</param>
    /// <param name="scales">Its scales.</param>
    /// <param name="values">Receives the values, [n].</param>
    public static void Widen(WeightType type, ReadOnlySpan<byte> row, ReadOnlySpan<byte> scales, Span<float> values)
    {
        switch (type)
        {
            case WeightType.Float32:
                MemoryMarshal.Cast<byte, float>(row).CopyTo(values);
                break;
            case WeightType.BFloat16:
                BFloat16Rows.ToSingle(MemoryMarshal.Cast<byte, ushort>(row), values);
                break;
            case WeightType.Int8:
                var scale = MemoryMarshal.Cast<byte, float>(scales)[0];
                for (var i = 0; i < values.Length; i++)
                {
                    values[i] = scale * (sbyte)row[i];
                }

                break;
            default:
                for (var i = 0; i < values.Length; i++)
                {
                    var (block, place) = (i / BlockInputs, i % BlockInputs);
                    var pair = row[(block * BlockInputs / 2) + (place % (BlockInputs / 2))];
                    values[i] = BlockScale(MemoryMarshal.Cast<byte, ushort>(scales)[block]) * ((place < BlockInputs / 2 ? pair & 15 : pair >> 4) - 8);
                }

                break;
        }
    }

    private static float BlockScale(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    private static void RoundBytes(ReadOnlySpan<float> values, Span<sbyte> row, ref float scale)
    {
        var largest = 0f;
        foreach (var value in values)
        {
            largest = MathF.Max(largest, MathF.Abs(value));
        }

        scale = largest / 127;
        for (var i = 0; i < values.Length; i++)
        {
            row[i] = scale == 0 ? (sbyte)0 : (sbyte)Math.Clamp(MathF.Round(values[i] / scale), -127, 127);
        }
    }

    // 16 steps are few: the scale with the least square error is looked for, in both signs, since the range reaches one step further below zero.
    private static void RoundBlock(ReadOnlySpan<float> values, Span<byte> row, ref ushort scale)
    {
        var extreme = 0f;
        foreach (var value in values)
        {
            extreme = MathF.Abs(value) > MathF.Abs(extreme) ? value : extreme;
        }

        Span<ushort> bits = stackalloc ushort[1];
        var (best, least) = (0f, double.PositiveInfinity);
        for (var i = 0; i < ScaleCandidates; i++)
        {
            BFloat16Rows.FromSingle([extreme / (-8.8f + (0.15f * i))], bits);
            var candidate = BlockScale(bits[0]);
            var error = Error(values, candidate);
            if (error < least)
            {
                (best, least, scale) = (candidate, error, bits[0]);
            }
        }

        for (var i = 0; i < row.Length; i++)
        {
            row[i] = (byte)(Step(values[i], best) + 8 | ((Step(values[i + row.Length], best) + 8) << 4));
        }
    }

    private static double Error(ReadOnlySpan<float> values, float scale)
    {
        var sum = 0.0;
        foreach (var value in values)
        {
            double difference = value - (scale * Step(value, scale));
            sum += difference * difference;
        }

        return sum;
    }

    private static int Step(float value, float scale) => scale == 0 ? 0 : (int)Math.Clamp(MathF.Round(value / scale), -8, 7);
}
