using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: M = number of maps, T = tokens, N = columns.

/// <summary>
/// Lower triangular maps over tokens times what they mix, without most of the zeros: a part of the rows meets the tokens up to its own last one, so the half that causality
/// leaves out is left out of the work too, forward and backward, up to half a part a row. On CPUs; on devices one launch is worth more than half of its work.
/// </summary>
internal static class TriangularProduct
{
    private const long LeastPart = 64;
    private const long MostParts = 8;

    /// <summary>A y.</summary>
    /// <param name="maps">A: [M, T, T], zeros above the diagonal.</param>
    /// <param name="y">[M, T, N], of the same type.</param>
    /// <returns>[M, T, N].</returns>
    public static Tensor Apply(Tensor maps, Tensor y)
    {
        ProductNode.ReleaseReturned();
        if (maps.device_type != TorchSharp.DeviceType.CPU || maps.shape[1] < 2 * LeastPart)
        {
            return bmm(maps, y);
        }

        using var scope = NewDisposeScope();
        Tensor a = maps.contiguous(), b = y.contiguous();
        Tensor product;
        using (no_grad())
        {
            product = empty_like(b, requires_grad: false);
            ForParts(a, (map, first, count) => product[map].narrow(0, first, count).addmm_(Part(a, map, first, count), b[map].narrow(0, 0, first + count), beta: 0, alpha: 1));
        }

        var isDifferentiated = is_grad_enabled() && (maps.requires_grad || y.requires_grad);
        return (isDifferentiated ? ProductNode.Attach(a, b, product) : product).MoveToOuterDisposeScope();
    }

    /// <summary>How many rows a part has, the last one aside.</summary>
    /// <param name="tokens">T.</param>
    public static long PartOf(long tokens) => Math.Max(LeastPart, (tokens + (MostParts * LeastPart) - 1) / (MostParts * LeastPart) * LeastPart);

    // Rows of a map, up to their last token's column.
    private static Tensor Part(Tensor maps, long map, long first, long count) => maps[map].narrow(0, first, count).narrow(1, 0, first + count);

    private static void ForParts(Tensor maps, Func<long, long, long, Tensor> run)
    {
        var tokens = maps.shape[1];
        var part = PartOf(tokens);
        for (var map = 0L; map < maps.shape[0]; map++)
        {
            for (var first = 0L; first < tokens; first += part)
            {
                using var views = NewDisposeScope();
                run(map, first, Math.Min(part, tokens - first));
            }
        }
    }

    private sealed class ProductNode : GraphNode<ProductNode, (bool Maps, bool Y)>
    {
        public override string Name => "TriangularProduct";

        public static Tensor Attach(Tensor maps, Tensor y, Tensor product) => Attach(product, [maps, y], [maps, y], (maps.requires_grad, y.requires_grad));

        protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, (bool Maps, bool Y) state, Tensor gradient)
        {
            using var scope = NewDisposeScope();
            Tensor maps = saved[0], y = saved[1], upstream = gradient.to_type(y.dtype).contiguous();
            Tensor? gradMaps = null, gradY = null;
            if (state.Maps)
            {
                var whole = zeros_like(maps, requires_grad: false);
                ForParts(maps, (map, first, count) => Part(whole, map, first, count).addmm_(upstream[map].narrow(0, first, count), y[map].narrow(0, 0, first + count).t(), beta: 0, alpha: 1));
                gradMaps = whole.DetachFromDisposeScope();
            }

            if (state.Y)
            {
                // Here a part is one of columns, which the rows from its first token on have met.
                var whole = empty_like(y, requires_grad: false);
                ForParts(maps, (map, first, count) =>
                {
                    var rest = y.shape[1] - first;
                    return whole[map].narrow(0, first, count).addmm_(maps[map].narrow(0, first, rest).narrow(1, first, count).t(), upstream[map].narrow(0, first, rest), beta: 0, alpha: 1);
                });
                gradY = whole.DetachFromDisposeScope();
            }

            return [gradMaps, gradY];
        }
    }
}
