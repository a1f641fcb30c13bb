namespace CoFrGeNet.Weights;

/// <summary>Names and sizes of <see cref="TensorDType"/>.</summary>
public static class TensorDTypes
{
    private static readonly TensorDType[] All = Enum.GetValues<TensorDType>();

    /// <summary>The bytes of one element.</summary>
    /// <param name="type">The element type.</param>
    /// <returns>1, 2, 4 or 8.</returns>
    public static int SizeInBytes(this TensorDType type) => type switch
    {
        TensorDType.F64 or TensorDType.I64 or TensorDType.U64 => 8,
        TensorDType.F32 or TensorDType.I32 or TensorDType.U32 => 4,
        TensorDType.F16 or TensorDType.BF16 or TensorDType.I16 or TensorDType.U16 => 2,
        TensorDType.I8 or TensorDType.U8 or TensorDType.Bool => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not an element type"),
    };

    /// <summary>Whether the elements are floating-point numbers.</summary>
    /// <param name="type">The element type.</param>
    public static bool IsFloat(this TensorDType type) => type is TensorDType.F64 or TensorDType.F32 or TensorDType.F16 or TensorDType.BF16;

    /// <summary>The name in a file's header.</summary>
    /// <param name="type">The element type.</param>
    /// <returns>For example "BF16" or "BOOL".</returns>
    public static string ToHeaderName(this TensorDType type) => type == TensorDType.Bool ? "BOOL" : type.ToString();

    /// <summary>Reads a name of a file's header.</summary>
    /// <param name="name">For example "BF16"; upper case.</param>
    /// <param name="type">The element type.</param>
    /// <returns>Whether the name is known.</returns>
    public static bool TryParseHeaderName(string? name, out TensorDType type)
    {
        foreach (var candidate in All)
        {
            if (candidate.ToHeaderName() == name)
            {
                type = candidate;
                return true;
            }
        }

        type = default;
        return false;
    }
}
