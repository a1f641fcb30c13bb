using CoFrGeNet.Simd;

namespace CoFrGeNet.Tests.Simd;

public sealed unsafe class ExponentialTests
{
    public static TheoryData<int> Widths => [1, 4, 8, 16];

    [Theory]
    [MemberData(nameof(Widths))]
    public void The_error_is_below_one_unit_in_the_last_place(int width)
    {
        for (var x = -87f; x < 88.7f; x += 0.00173f)
        {
            var expected = Math.Exp(x);

            // A unit in the last place is 2^-23 of the value or less; without fused multiply-adds (one lane may have none) r is rounded once more.
            Assert.Equal(1, Of(x, width) / expected, Math.Pow(2, -23));
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Beyond_the_numbers_of_float32_it_is_zero_infinite_or_none(int width)
    {
        Assert.Equal(1, Of(0, width));
        Assert.Equal(1, Of(-0f, width));
        Assert.Equal(0, Of(-105, width));
        Assert.Equal(0, Of(float.NegativeInfinity, width));
        Assert.Equal(float.PositiveInfinity, Of(88.9f, width));
        Assert.Equal(float.PositiveInfinity, Of(float.PositiveInfinity, width));
        Assert.True(float.IsNaN(Of(float.NaN, width)));

        // Denormal numbers have few digits.
        Assert.Equal(Math.Exp(-100), Of(-100, width), 2 * (double)float.Epsilon);
    }

    private static float Of(float x, int width) => (SimdWidth)width switch
    {
        SimdWidth.Sixteen => First(Lanes512.Exp(Lanes512.Of(x))),
        SimdWidth.Eight => First(Lanes256.Exp(Lanes256.Of(x))),
        SimdWidth.Four => First(Lanes128.Exp(Lanes128.Of(x))),
        _ => First(LanesScalar.Exp(LanesScalar.Of(x))),
    };

    private static float First<TLanes>(TLanes value)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var lanes = stackalloc float[16];
        TLanes.Store(value, lanes);
        return lanes[0];
    }
}
