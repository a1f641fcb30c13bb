using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Text;

public class TokenizedCorpusTests
{
    private static readonly Document[] Documents =
        [.. Enumerable.Range(0, 100).Select(i => new Document($"{i}", $"Document {i}: café 😀 {new string('z', i)}"))];

    [Theory]
    [InlineData("byte")]
    [InlineData("gpt2")]
    public void Ids_are_the_documents_each_followed_by_the_end_of_text(string name)
    {
        var tokenizer = Tokenizers.Get(name);
        var expected = Documents.SelectMany(d => tokenizer.Encode(d.Text).Append(tokenizer.EndOfTextId!.Value)).ToArray();
        foreach (var threads in new int?[] { 1, 7, null })
        {
            var corpus = TokenizedCorpus.Create(Documents, tokenizer, threads, TestContext.Current.CancellationToken);
            var ids = new int[corpus.Count];
            corpus.CopyTo(0, ids);
            Assert.Equal(expected, ids);
            Assert.Equal(100, corpus.DocumentCount);
            Assert.Equal(Documents.Sum(d => System.Text.Encoding.UTF8.GetByteCount(d.Text)), corpus.TextBytes);
            var window = new long[5];
            corpus.CopyTo(11, window);
            Assert.Equal(expected[11..16].Select(id => (long)id), window);
            Assert.Equal(expected[^1], corpus[corpus.Count - 1]);
        }
    }

    [Fact]
    public void Ranges_outside_are_refused()
    {
        var corpus = TokenizedCorpus.Create([new("a", "abc")], ByteTokenizer.Instance, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(4, corpus.Count);
        Assert.Throws<ArgumentOutOfRangeException>(() => corpus.CopyTo(2, new int[3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => corpus.CopyTo(2, new long[3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => corpus.CopyTo(-1, new long[1]));
    }

    [Fact]
    public void No_text_is_a_user_error() =>
        Assert.Throws<UserErrorException>(
            () => TokenizedCorpus.Create([], ByteTokenizer.Instance, cancellationToken: TestContext.Current.CancellationToken));

    [Fact]
    public void Bits_per_byte_is_the_loss_of_all_tokens_over_the_bytes()
    {
        // A uniform guess over 256 bytes costs 8 bits a byte.
        Assert.Equal(8, TextMetrics.BitsPerByte(Math.Log(256), 1000, 1000), 12);
        var corpus = TokenizedCorpus.Create([new("a", "abc")], ByteTokenizer.Instance, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(4.0 / 3, corpus.BitsPerByte(Math.Log(2)), 12);
    }
}
