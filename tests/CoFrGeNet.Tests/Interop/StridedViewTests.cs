using CoFrGeNet.Interop;

namespace CoFrGeNet.Tests.Interop;

public class StridedViewTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void A_transpose_and_its_inverse(int size)
    {
        var view = StridedView.Transpose(2, 3);
        var matrix = Elements([0, 1, 2, 3, 4, 5], size);
        var transposed = Gather(view, matrix, size, 6);
        Assert.Equal(Elements([0, 3, 1, 4, 2, 5], size), transposed);
        Assert.Equal(matrix, Gather(view.Invert(0), transposed, size, 6));
    }

    [Fact]
    public void Pairs_become_halves_and_come_back()
    {
        // 2 heads of 4 rows with 1 column: rows 0, 1, 2, 3 turn as (0, 1), (2, 3); as halves they are 0, 2, 1, 3.
        var view = StridedView.PairsToHalves(2, 4, 1);
        byte[] rows = [0, 1, 2, 3, 10, 11, 12, 13];
        var halves = Gather(view, rows, 1, 8);
        Assert.Equal([0, 2, 1, 3, 10, 12, 11, 13], halves);
        Assert.Equal(rows, Gather(view.Invert(0), halves, 1, 8));
        // The same with whole rows of 3.
        var wide = Enumerable.Range(0, 24).Select(i => (byte)i).ToArray();
        Assert.Equal(wide, Gather(StridedView.PairsToHalves(2, 4, 3).Invert(0), Gather(StridedView.PairsToHalves(2, 4, 3), wide, 1, 24), 1, 24));
    }

    [Fact]
    public void A_column_has_no_inverse()
    {
        var view = StridedView.Column(3, 5, 2);
        Assert.Equal([2, 7, 12], Gather(view, [.. Enumerable.Range(0, 15).Select(i => (byte)i)], 1, 3));
        Assert.Throws<InvalidOperationException>(() => view.Invert(0));
    }

    [Fact]
    public void An_inverse_starts_where_its_part_does()
    {
        var view = StridedView.Transpose(2, 2).Invert(4);
        Assert.Equal([4, 6, 5, 7], Gather(view, [0, 1, 2, 3, 4, 5, 6, 7], 1, 4));
    }

    private static byte[] Gather(StridedView view, byte[] source, int size, int count)
    {
        var result = new byte[count * size];
        view.Gather(source, size, result);
        return result;
    }

    private static byte[] Elements(byte[] values, int size) => [.. values.SelectMany(value => Enumerable.Range(0, size).Select(i => (byte)(value + (16 * i))))];
}
