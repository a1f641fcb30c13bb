using System.IO.Compression;
using System.Text;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Text;

public sealed class TextFilesCorpusTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_folder_is_read_in_ordinal_order_with_the_known_extensions_only()
    {
        _folder.Write("b.txt", "second");
        _folder.Write("a/z.md", "first");
        _folder.Write("B.TXT", "capital");
        _folder.Write("c.gz", Gzip("packed"));
        _folder.Write("d.bin", [0, 1, 2]);
        Assert.Equal(
            [new("B.TXT", "capital"), new("a/z.md", "first"), new("b.txt", "second"), new("c.gz", "packed")],
            Read(_folder.Root));
    }

    [Fact]
    public void Separator_lines_cut_documents_and_belong_to_none()
    {
        var path = _folder.Write("x.txt", "\uFEFFone\r\ntwo\n<|endoftext|>\r\n\n  \n<|endoftext|>\nsay <|endoftext|> inside\n<|endoftext|> \nlast\n");
        Assert.Equal(["one\ntwo", "say <|endoftext|> inside", "last\n"], Read(path).Select(d => d.Text));
        Assert.Equal(3, Read(path).Select(d => d.Name).Distinct().Count());
    }

    [Fact]
    public void Documents_larger_than_a_read_block_come_out_whole()
    {
        var big = string.Concat(Enumerable.Range(0, 200_000).Select(i => $"{i} é😀\r\n"));
        var path = _folder.Write("x.gz", Gzip(big + "<|endoftext|>\n" + big));
        var expected = big.ReplaceLineEndings("\n");
        Assert.Equal([expected[..^1], expected], Read(path).Select(d => d.Text));
    }

    [Theory]
    [InlineData(40_000, "\n\n")]
    [InlineData(40_000, "\n")]
    [InlineData(3_000, " ")]
    [InlineData(900_000, "")]
    public void A_single_document_is_cut_into_chunks_that_join_to_it(int words, string separator)
    {
        var text = string.Concat(Enumerable.Range(0, words).Select(i => (i % 7 == 0 ? "😀" : $"w{i}") + separator));
        var path = _folder.Write("one.txt", text);
        var chunks = Read(path);
        Assert.True(chunks.Count >= 16);
        Assert.Equal(text, string.Concat(chunks.Select(c => c.Text)));
        Assert.All(chunks, c => Assert.InRange(c.Text.Length, 1, 1 << 14));
        Assert.All(chunks[..^1], c => Assert.EndsWith(separator, c.Text, StringComparison.Ordinal));
        Assert.DoesNotContain(chunks, c => char.IsHighSurrogate(c.Text[^1]));
        Assert.Equal(chunks.Select(c => c.Name), chunks.Select(c => c.Name).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(100)]
    [InlineData(300_000)]
    public void A_zero_byte_is_named_with_its_offset(int offset)
    {
        var bytes = Enumerable.Repeat((byte)'a', offset + 10).ToArray();
        bytes[offset] = 0;
        var path = _folder.Write("bin.txt", bytes);
        AssertError(path, "bin.txt", $"byte {offset}");
    }

    [Theory]
    [InlineData(new byte[] { 0xFF }, 0)]
    [InlineData(new byte[] { 0xC3, 0x28 }, 0)]
    [InlineData(new byte[] { 0xED, 0xA0, 0x80 }, 0)]
    [InlineData(new byte[] { 0x61, 0xE4, 0xB8 }, 1)]
    public void Bytes_that_are_no_utf8_are_named_with_their_offset(byte[] bad, int at)
    {
        foreach (var before in new[] { 0, 262_143, 500_000 })
        {
            var path = _folder.Write("latin.txt", [.. Enumerable.Repeat((byte)'\n', before), .. bad]);
            AssertError(path, "latin.txt", $"byte {before + at}");
        }
    }

    [Fact]
    public void Missing_and_empty_paths_are_user_errors()
    {
        AssertError(_folder.File("nowhere"), "nowhere", "does not exist");
        AssertError(_folder.Root, "*.txt", "no text files");
        AssertError(_folder.Write("e.txt", ""), "e.txt", "no text");
        AssertError(_folder.Write("w.txt", " \n<|endoftext|>\n \n"), "w.txt", "no text");
    }

    [Fact]
    public void A_gzip_file_cut_anywhere_is_refused()
    {
        var random = new Random(3);
        var whole = Gzip(string.Concat(Enumerable.Range(0, 2000).Select(_ => random.Next() + "\n")));
        foreach (var length in Enumerable.Range(2, 30).Concat([whole.Length / 2]).Concat(Enumerable.Range(whole.Length - 12, 12)))
        {
            AssertError(_folder.Write("cut.gz", whole[..length]), "cut.gz", "gzip");
        }

        var damaged = (byte[])whole.Clone();
        damaged[^6] ^= 1;
        AssertError(_folder.Write("damaged.gz", damaged), "damaged.gz", "gzip");
    }

    [Fact]
    public void Gzip_files_of_several_members_are_read_to_the_end_and_checked()
    {
        byte[] two = [.. Gzip("first part, "), .. Gzip("second part of another length")];
        Assert.Equal("first part, second part of another length", Assert.Single(Read(_folder.Write("two.gz", two))).Text);
        AssertError(_folder.Write("two.gz", two[..^3]), "two.gz", "gzip");
    }

    private static List<Document> Read(string path) => [.. new TextFilesCorpus(path).ReadDocuments()];

    private static byte[] Gzip(string text)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        {
            gzip.Write(Encoding.UTF8.GetBytes(text));
        }

        return packed.ToArray();
    }

    private static void AssertError(string path, params string[] parts)
    {
        var error = Assert.Throws<UserErrorException>(() => Read(path));
        Assert.DoesNotContain('\n', error.Message);
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }
}
