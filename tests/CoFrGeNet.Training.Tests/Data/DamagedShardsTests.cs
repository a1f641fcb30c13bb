using System.Buffers.Binary;
using CoFrGeNet.Data;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Data;

/// <summary>Prepared text that is damaged is refused as a whole, with the file and the reason.</summary>
public class DamagedShardsTests
{
    private const string Shard = "train_000001.bin";

    [Theory]
    [InlineData("cut to nothing", Shard, "less than a header")]
    [InlineData("cut in the header", Shard, "less than a header")]
    [InlineData("cut after the header", Shard, "header counts 1000 tokens")]
    [InlineData("cut in the middle of an id", Shard, "header counts 1000 tokens")]
    [InlineData("cut by one id", Shard, "header counts 1000 tokens")]
    [InlineData("one id too many", Shard, "header counts 1000 tokens")]
    [InlineData("first id flipped", Shard, "checksum")]
    [InlineData("last id flipped", Shard, "checksum")]
    [InlineData("unused header flipped", Shard, "checksum")]
    [InlineData("wrong magic", Shard, "begins with the number 20240521")]
    [InlineData("wrong version", Shard, "version 2")]
    [InlineData("negative count", Shard, "counts -5 tokens")]
    [InlineData("count and length changed alike", Shard, "manifest says 1000")]
    [InlineData("wide ids", Shard, "tokens of 4 bytes")]
    [InlineData("an id beyond the vocabulary", Shard, "position 500")]
    [InlineData("missing", Shard, "cannot read")]
    [InlineData("another shard in its place", Shard, "checksum")]
    [InlineData("manifest missing", "out", "has no manifest.json")]
    [InlineData("manifest cut", "manifest.json", "not valid JSON")]
    [InlineData("manifest of another version", "manifest.json", "version 9")]
    [InlineData("manifest with an unknown member", "manifest.json", "no member 'tokens'")]
    [InlineData("manifest with another count", "manifest.json", "tokens")]
    [InlineData("manifest that reaches out", "manifest.json", "outside the folder")]
    [InlineData("foreign tokenizer", "out", "tokenizer")]
    [InlineData("tokenizer missing", "out", "tokenizer")]
    public void Is_refused(string damage, string file, string reason)
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("out");
        var texts = Enumerable.Range(0, 100).Select(i => $"text number {i} of some length, so that there are files enough");
        var options = DataPreparationTests.Options(DataPreparationTests.WriteText(folder, [.. texts])) with { Tokenizer = "byte", ShardTokens = 1000, ValidationShare = 0.2 };
        new DataPreparation(path, options).Run(TestContext.Current.CancellationToken);
        PreparedData.Open(path).Dispose();
        Apply(damage, path);
        var message = Assert.Throws<UserErrorException>(() => TextData.Load(new DataConfig { Source = path })).Message;
        Assert.Contains(file, message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Without_verification_an_id_beyond_the_vocabulary_is_found_when_it_is_read()
    {
        using var folder = new TemporaryFolder();
        folder.Write("train.bin", [.. Enumerable.Repeat((byte)1, 200)]);
        folder.Write("val.bin", [.. Enumerable.Range(0, 200).Select(i => (byte)(i % 2 == 0 ? 7 : 0))]);
        var data = TextData.Load(new DataConfig { Source = folder.Root, VerifyFiles = false });
        Assert.Equal(100, data.Validation.Count);
        Assert.Contains("train.bin has the id 257 at position 10", Assert.Throws<UserErrorException>(() => data.Train.CopyTo(10, new long[5])).Message, StringComparison.Ordinal);
        Assert.Contains("train.bin", Assert.Throws<UserErrorException>(() => TextData.Load(new DataConfig { Source = folder.Root })).Message, StringComparison.Ordinal);
    }

    private static void Apply(string damage, string folder)
    {
        var shard = Path.Combine(folder, Shard);
        var manifest = Path.Combine(folder, "manifest.json");
        var bytes = File.ReadAllBytes(shard);
        byte[] Header(int index, int value)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4 * index), value);
            return bytes;
        }

        byte[] Flip(int index)
        {
            bytes[index] ^= 1;
            return bytes;
        }

        void Edit(string before, string after)
        {
            var text = File.ReadAllText(manifest);
            Assert.Contains(before, text, StringComparison.Ordinal);
            var at = text.IndexOf(before, StringComparison.Ordinal);
            File.WriteAllText(manifest, text[..at] + after + text[(at + before.Length)..]);
        }

        switch (damage)
        {
            case "missing":
                File.Delete(shard);
                return;
            case "another shard in its place":
                File.Copy(Path.Combine(folder, "train_000000.bin"), shard, overwrite: true);
                return;
            case "manifest missing":
                File.Delete(manifest);
                return;
            case "manifest cut":
                File.WriteAllBytes(manifest, File.ReadAllBytes(manifest)[..100]);
                return;
            case "manifest of another version":
                Edit("\"version\": 1", "\"version\": 9");
                return;
            case "manifest with an unknown member":
                Edit("\"version\": 1", "\"version\": 1, \"tokens\": 3");
                return;
            case "manifest with another count":
                var count = PreparedData.ReadManifest(folder).Train.Tokens;
                Edit($"\"tokens\": {count},\n    \"shards\"", $"\"tokens\": {count + 1},\n    \"shards\"");
                return;
            case "manifest that reaches out":
                Edit(Shard, "../" + Shard);
                return;
            case "foreign tokenizer":
                File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"type":"gpt2","vocabularySize":50257}""");
                return;
            case "tokenizer missing":
                File.Delete(Path.Combine(folder, "tokenizer_config.json"));
                return;
        }

        File.WriteAllBytes(shard, damage switch
        {
            "cut to nothing" => [],
            "cut in the header" => bytes[..1000],
            "cut after the header" => bytes[..1024],
            "cut in the middle of an id" => bytes[..1501],
            "cut by one id" => bytes[..^2],
            "one id too many" => [.. bytes, 0, 0],
            "first id flipped" => Flip(1024),
            "last id flipped" => Flip(bytes.Length - 2),
            "unused header flipped" => Flip(700),
            "wrong magic" => Header(0, 20240521),
            "wrong version" => Header(1, 2),
            "negative count" => Header(2, -5),
            "count and length changed alike" => Header(2, 999)[..^2],
            "wide ids" => Wide(bytes),
            "an id beyond the vocabulary" => Beyond(bytes),
            _ => throw new ArgumentOutOfRangeException(nameof(damage), damage, "unknown"),
        });
    }

    private static byte[] Wide(byte[] bytes)
    {
        BinaryPrimitives.WriteInt32LittleEndian(bytes, 20240801);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), 7);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), (bytes.Length - 1024) / 4);
        return bytes;
    }

    private static byte[] Beyond(byte[] bytes)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(1024 + (2 * 500)), 257);
        return bytes;
    }
}
