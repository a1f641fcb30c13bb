using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Text;

public class DocumentSplitTests
{
    private static readonly Document[] Documents =
        [.. Enumerable.Range(0, 500).Select(i => new Document($"d{i:D3}", $"text {i * 7919} " + new string('x', i % 50)))];

    [Fact]
    public void The_parts_are_disjoint_complete_and_of_the_asked_size()
    {
        var split = DocumentSplit.Create(Documents, 0.1);
        Assert.Equal(Documents, split.Training.Concat(split.Validation).OrderBy(d => d.Name, StringComparer.Ordinal));
        var share = split.Validation.Sum(d => (double)d.Text.Length) / Documents.Sum(d => (double)d.Text.Length);
        Assert.InRange(share, 0.1, 0.125);
    }

    [Fact]
    public void Neither_order_nor_names_decide()
    {
        var shuffled = Documents.ToArray();
        new Random(1).Shuffle(shuffled);
        var split = DocumentSplit.Create(Documents, 0.1, seed: 3);
        var other = DocumentSplit.Create(shuffled, 0.1, seed: 3);
        Assert.Equal(split.Validation, other.Validation);
        Assert.Equal(split.Training, other.Training);
        var renamed = DocumentSplit.Create(Documents.Select(d => d with { Name = "x" + d.Name.Reverse() }), 0.1, seed: 3);
        Assert.Equal(split.Validation.Select(d => d.Text).Order(), renamed.Validation.Select(d => d.Text).Order());
        Assert.NotEqual(split.Validation, DocumentSplit.Create(Documents, 0.1, seed: 4).Validation);
    }

    [Fact]
    public void The_cut_is_the_same_on_every_machine()
    {
        // Fixed values: a change here would move text between training and validation of existing runs.
        Assert.Equal(9886184608339236366UL, StableHash.Of(0, ""));
        Assert.Equal(2739052659422410661UL, StableHash.Of(7, "naïve 😀"));
    }

    [Fact]
    public void Equal_texts_go_to_one_side()
    {
        var twice = Documents.Concat(Documents.Select(d => d with { Name = "copy of " + d.Name })).ToArray();
        var split = DocumentSplit.Create(twice, 0.3);
        Assert.Empty(split.Training.Select(d => d.Text).Intersect(split.Validation.Select(d => d.Text)));
    }

    [Theory]
    [InlineData(0.0001)]
    [InlineData(0.5)]
    [InlineData(0.9999)]
    public void Two_documents_are_enough_for_any_fraction(double fraction)
    {
        var split = DocumentSplit.Create([new("a", "short"), new("b", "a much longer text")], fraction);
        Assert.Single(split.Training);
        Assert.Single(split.Validation);
    }

    [Fact]
    public void A_long_document_does_not_swallow_the_validation_share()
    {
        Document[] documents = [.. Documents, new("long", new string('y', 1_000_000))];
        for (var seed = 0UL; seed < 20; seed++)
        {
            Assert.DoesNotContain(DocumentSplit.Create(documents, 0.01, seed).Validation, d => d.Name == "long");
        }
    }

    [Fact]
    public void Fewer_than_two_different_documents_are_a_user_error_with_advice()
    {
        Assert.Throws<UserErrorException>(() => DocumentSplit.Create([], 0.1));
        var error = Assert.Throws<UserErrorException>(() => DocumentSplit.Create([new("a", "same"), new("b", "same")], 0.1));
        Assert.Contains("<|endoftext|>", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(double.NaN)]
    public void A_fraction_outside_0_to_1_is_refused(double fraction) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => DocumentSplit.Create(Documents, fraction));
}
