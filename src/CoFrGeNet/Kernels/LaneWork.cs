using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>Runs <see cref="ILaneWork"/> on all threads.</summary>
internal static class LaneWork
{
    /// <summary>Does all pieces.</summary>
    /// <param name="work">The work.</param>
    /// <param name="pieces">How many pieces it has.</param>
    /// <param name="type">The type of its elements.</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Run(ILaneWork work, int pieces, ElementType type, int threads, SimdWidth? width)
    {
        Action<int> run = (width ?? SimdWidths.Best, type) switch
        {
            (SimdWidth.Sixteen, ElementType.Float32) => work.Piece<Lanes512, float>,
            (SimdWidth.Sixteen, _) => work.Piece<Lanes512, ushort>,
            (SimdWidth.Eight, ElementType.Float32) => work.Piece<Lanes256, float>,
            (SimdWidth.Eight, _) => work.Piece<Lanes256, ushort>,
            (SimdWidth.Four, ElementType.Float32) => work.Piece<Lanes128, float>,
            (SimdWidth.Four, _) => work.Piece<Lanes128, ushort>,
            (_, ElementType.Float32) => work.Piece<LanesScalar, float>,
            _ => work.Piece<LanesScalar, ushort>,
        };
        RowPartition.Run(pieces, threads, run);
    }
}
