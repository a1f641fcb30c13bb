using System.IO.Compression;
using System.Text;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Text;

public class DocumentReaderTests
{
    [Theory]
    [InlineData(".txt")]
    [InlineData(".txt.gz")]
    [InlineData(".txt.zst")]
    public void Packed_text_reads_as_plain_text(string extension)
    {
        using var folder = new TemporaryFolder();
        var text = string.Concat(Enumerable.Range(0, 30_000).Select(i => $"line {i} é\n"));
        var path = Write(folder, "a" + extension, Encoding.UTF8.GetBytes(text + "<|endoftext|>\nsecond\n"));
        using var reader = new TextFileReader(path);
        Assert.Equal([text.TrimEnd('\n'), "second\n"], All(reader));
        Assert.Equal(new FileInfo(path).Length, reader.BytesRead);
    }

    [Theory]
    [InlineData(".txt.gz")]
    [InlineData(".txt.zst")]
    public void Packed_text_that_was_cut_short_is_refused(string extension)
    {
        using var folder = new TemporaryFolder();
        var random = new Random(2);
        var path = Write(folder, "a" + extension, Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 50_000).Select(_ => $"{random.Next()} "))));
        var whole = File.ReadAllBytes(path);
        foreach (var length in new[] { 20, 1000, whole.Length / 2, whole.Length - 9, whole.Length - 1 })
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Contains(path, Assert.Throws<UserErrorException>(() =>
            {
                using var reader = new TextFileReader(path);
                All(reader);
            }).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(1 << 12)]
    [InlineData(1 << 19)]
    public void A_document_that_is_too_long_comes_in_pieces_that_join_to_it(int longest)
    {
        using var folder = new TemporaryFolder();
        var random = new Random(4);
        var text = string.Concat(Enumerable.Range(0, 3000).Select(i => new string('x', random.Next(400)) + (i % 5 == 0 ? "😀" : "") + "\n")) + string.Concat(Enumerable.Repeat("😀", 5000)) + "end";
        using var reader = new TextFileReader(folder.Write("a.txt", text), "<|endoftext|>", longest);
        var pieces = new List<string>();
        while (reader.ReadDocument() is { } piece)
        {
            pieces.Add(piece);
            Assert.True(piece.Length <= longest);
            Assert.Equal(longest < text.Length, reader.WasCut);
            Assert.False(char.IsHighSurrogate(piece[^1]));
        }

        Assert.Equal(text, string.Concat(pieces));
    }

    [Fact]
    public void A_separator_of_ones_own_and_none_at_all()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.txt", "one\n---\ntwo\n<|endoftext|>\nthree\n---\n");
        using var own = new TextFileReader(path, "---");
        Assert.Equal(["one", "two\n<|endoftext|>\nthree"], All(own));
        using var none = new TextFileReader(path, "");
        Assert.Equal([File.ReadAllText(path)], All(none));
    }

    [Fact]
    public void Lines_of_json_that_hold_no_text_are_skipped_with_the_reason()
    {
        using var folder = new TemporaryFolder();
        byte[] invalid = [.. "{\"text\":\""u8, 0xff, .. "\"}\n"u8];
        string[] lines =
        [
            """{"text":"first","other":[1,{"text":"inner"}]}""", "", "not json", "[1]", """{"body":"x"}""", """{"text":5}""", """{"text":" "}""",
            """{"text":"a\ud800b"}""", """{"text":"cut""", """{"n":null,"text":"two\r\nlines é 😀"}""", """{"text":"x"} trailing""",
        ];
        var path = folder.Write("a.jsonl", [.. Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n"), .. invalid, .. "{\"text\":\"last\"}"u8]);
        var skipped = new List<string>();
        using var reader = new JsonLinesReader(path, "text") { Skipped = (reason, where) => skipped.Add($"{where[(where.LastIndexOf(' ') + 1)..]} {reason}") };
        Assert.Equal(["first", "two\nlines é 😀", "last"], All(reader));
        Assert.Equal(
            [
                "3 not valid JSON", "4 no JSON object", "5 no member 'text'", "6 member 'text' is no text", "7 empty text", "8 not valid Unicode", "9 not valid JSON",
                "11 not valid JSON", "12 not valid Unicode",
            ],
            skipped);
    }

    private static List<string> All(DocumentReader reader)
    {
        var texts = new List<string>();
        while (reader.ReadDocument() is { } text)
        {
            texts.Add(text);
        }

        return texts;
    }

    private static string Write(TemporaryFolder folder, string name, byte[] content)
    {
        using var packed = new MemoryStream();
        using (Stream stream = name.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)
            : name.EndsWith(".zst", StringComparison.Ordinal) ? new ZstdSharp.CompressionStream(packed, leaveOpen: true) : new BufferedStream(packed))
        {
            stream.Write(content);
            stream.Flush();
            return folder.Write(name, name.EndsWith(".txt", StringComparison.Ordinal) ? content : Finish(stream, packed));
        }
    }

    private static byte[] Finish(Stream stream, MemoryStream packed)
    {
        stream.Dispose();
        return packed.ToArray();
    }
}
