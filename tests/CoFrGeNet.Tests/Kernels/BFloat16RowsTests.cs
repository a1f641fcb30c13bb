using CoFrGeNet.Kernels;

namespace CoFrGeNet.Tests.Kernels;

public sealed class BFloat16RowsTests
{
    [Fact]
    public void Every_bfloat16_survives_the_way_there_and_back()
    {
        // 65,536 values and one more, so that the scalar tail runs too.
        ushort[] all = [.. Enumerable.Range(0, 65537).Select(i => (ushort)i)];
        var wide = new float[all.Length];
        var back = new ushort[all.Length];
        BFloat16Rows.ToSingle(all, wide);
        BFloat16Rows.FromSingle(wide, back);
        for (var i = 0; i < all.Length; i++)
        {
            Assert.Equal(BitConverter.UInt32BitsToSingle((uint)all[i] << 16), wide[i]);
            if (float.IsNaN(wide[i]))
            {
                Assert.True(float.IsNaN(BitConverter.UInt32BitsToSingle((uint)back[i] << 16)));
            }
            else
            {
                Assert.Equal(all[i], back[i]);
            }
        }
    }

    [Theory]
    [InlineData(0x3f808000u, 0x3f80)]
    [InlineData(0x3f818000u, 0x3f82)]
    [InlineData(0x3f808001u, 0x3f81)]
    [InlineData(0x3f807fffu, 0x3f80)]
    [InlineData(0x7f7fffffu, 0x7f80)]
    [InlineData(0x80000000u, 0x8000)]
    public void Rounding_is_to_nearest_and_ties_to_even(uint bits, int expected)
    {
        // 33 alike: the vectors of either width and the tail must agree.
        float[] values = [.. Enumerable.Repeat(BitConverter.UInt32BitsToSingle(bits), 33)];
        var rounded = new ushort[values.Length];
        BFloat16Rows.FromSingle(values, rounded);
        Assert.All(rounded, value => Assert.Equal(expected, value));
    }

    [Fact]
    public void Spans_of_different_lengths_are_refused() =>
        Assert.Throws<ArgumentException>(() => BFloat16Rows.ToSingle(new ushort[2], new float[3]));
}
