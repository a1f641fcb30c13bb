using System.IO.Compression;
using System.Text;
using CoFrGeNet.Tests;
using Parquet.Serialization;

namespace CoFrGeNet.Evaluation.Tests;

public class RecordFileTests
{
    [Theory]
    [InlineData("a.jsonl", "{\"x\":\"é 🙂\",\"n\":2}\r\n\n{\"x\":\"b\",\"n\":3}")]
    [InlineData("a.json", "[{\"x\":\"é 🙂\",\"n\":2},{\"x\":\"b\",\"n\":3}]")]
    [InlineData("a.csv", "x,n\n\"é 🙂\",2\nb,3\n")]
    [InlineData("a.tsv", "x\tn\né 🙂\t2\nb\t3\n")]
    public void Each_kind_gives_the_same_records_also_gzipped(string name, string content)
    {
        using var folder = new TemporaryFolder();
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionMode.Compress))
        {
            gzip.Write(Encoding.UTF8.GetBytes(content));
        }

        Assert.All([folder.Write(name, content), folder.Write(name + ".gz", packed.ToArray())], path =>
        {
            var records = RecordFile.Read(path);
            Assert.Equal([("é 🙂", 2), ("b", 3)], records.Select(record => (record.Text("x"), record.Integer("n"))));
        });
    }

    [Fact]
    public async Task Parquet_gives_nested_fields()
    {
        using var folder = new TemporaryFolder();
        var rows = new[] { "one", "two" }.Select((question, i) => new Row { Question = question, Choices = new Choices { Text = ["a", "é"], Label = ["A", "B"] }, Number = i }).ToArray();
        using (var stream = File.Create(folder.File("a.parquet")))
        {
            await ParquetSerializer.SerializeAsync(rows, stream, cancellationToken: TestContext.Current.CancellationToken);
        }

        var records = RecordFile.Read(folder.File("a.parquet"));
        Assert.Equal(["one", "two"], records.Select(record => record.Text("Question")));
        Assert.Equal(["a", "é"], records[1].Texts("Choices.Text"));
        Assert.Equal(1, records[1].Integer("Number"));
    }

    [Fact]
    public void Tables_without_a_header_number_their_columns()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.tsv", "gj04\t1\t\t\"Quoted words\ngj04\t0\t*\tOthers\n");
        var records = RecordFile.Read(path, "sentence", "label");
        Assert.Equal([("\"Quoted words", 1), ("Others", 0)], records.Select(record => (record.Text("4"), record.Integer("2"))));
    }

    [Theory]
    [InlineData("a.jsonl", "{\"x\":")]
    [InlineData("a.jsonl", "[1]")]
    [InlineData("a.json", "{}")]
    [InlineData("a.csv", "x,y\n1\n")]
    [InlineData("a.parquet", "PAR1")]
    [InlineData("a.jsonl.gz", "not gzip")]
    [InlineData("a.doc", "")]
    public void Damage_is_one_line_that_names_the_file(string name, string content)
    {
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<UserErrorException>(() => RecordFile.Read(folder.Write(name, content)));
        Assert.Contains(name, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<UserErrorException>(() => RecordFile.Read(folder.Write("a.jsonl", [.. "{\"x\":\""u8, 0xff, .. "\"}"u8])));
    }

    private sealed class Row
    {
        public string Question { get; set; } = "";

        public Choices Choices { get; set; } = new();

        public long Number { get; set; }
    }

    private sealed class Choices
    {
        public List<string> Text { get; set; } = [];

        public List<string> Label { get; set; } = [];
    }
}
