using System.Buffers.Binary;
using CoFrGeNet.Data;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Data;

/// <summary>The layouts of other programs, byte for byte.</summary>
public class TokenFileTests
{
    private static readonly int[] Ids = [.. Enumerable.Range(0, 5000).Select(i => (int)(((long)i * 7919) % 50257))];

    [Theory]
    [InlineData(TokenLayout.Llmc, 2, 20240520, 1)]
    [InlineData(TokenLayout.Llmc, 4, 20240801, 7)]
    [InlineData(TokenLayout.NanoGpt, 2, null, null)]
    [InlineData(TokenLayout.NanoGpt, 4, null, null)]
    public void A_file_holds_the_header_and_the_ids_and_gives_them_back(TokenLayout layout, int bytesPerToken, int? magic, int? version)
    {
        using var folder = new TemporaryFolder();
        var path = Write(folder, layout, bytesPerToken, Ids);
        var bytes = File.ReadAllBytes(path);
        if (magic is not null)
        {
            Assert.Equal([magic.Value, version!.Value, Ids.Length], Enumerable.Range(0, 3).Select(i => BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4 * i))));
            Assert.All(bytes[12..1024], b => Assert.Equal(0, b));
            bytes = bytes[1024..];
        }

        Assert.Equal(Ids.Length * bytesPerToken, bytes.Length);
        Assert.Equal(Ids, Enumerable.Range(0, Ids.Length).Select(i => bytesPerToken == 2
            ? BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(2 * i)) : BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4 * i))));
        using var file = TokenFile.Open(path, 50257, bytesPerToken);
        Assert.Equal((layout, bytesPerToken, Ids.Length), (file.Layout, file.BytesPerToken, (int)file.Count));
        var read = new long[Ids.Length];
        file.CopyTo(0, read);
        Assert.Equal(Ids, read.Select(id => (int)id));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.CopyTo(Ids.Length, new long[1]));
    }

    [Fact]
    public void Shards_that_others_wrote_read_as_one_sequence()
    {
        using var folder = new TemporaryFolder();
        // As llm.c and fineweb's scripts write them: header, then two bytes a token.
        foreach (var (part, number) in Ids.Chunk(2000).Select((part, number) => (part, number)))
        {
            var bytes = new byte[1024 + (2 * part.Length)];
            BinaryPrimitives.WriteInt32LittleEndian(bytes, 20240520);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), 1);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), part.Length);
            System.Runtime.InteropServices.MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(part, id => (ushort)id)).CopyTo(bytes.AsSpan(1024));
            folder.Write($"edu_fineweb_train_{number:D6}.bin", bytes);
        }

        var paths = Directory.GetFiles(folder.Root).Order().ToArray();
        using var shards = TokenShards.OpenBare(paths, Gpt2Tokenizer.Instance, verify: true);
        Assert.Equal(3, paths.Length);
        Assert.Equal(Ids.Length, shards.Count);
        for (var start = 1900; start < 4200; start += 333)
        {
            var read = new long[700];
            shards.CopyTo(start, read);
            Assert.Equal(Ids[start..(start + 700)], read.Select(id => (int)id));
        }

        Assert.Equal(Ids.Where(id => id != 50256).Sum(id => Gpt2Tokenizer.Instance.GetBytes(id).Length), shards.TextBytes);
    }

    [Fact]
    public void Files_of_a_writer_are_full_but_for_the_last()
    {
        using var folder = new TemporaryFolder();
        var finished = new List<(ManifestShard Shard, int Consumed)>();
        using (var writer = new TokenShardWriter(folder.Root, "train", TokenLayout.Llmc, 2, 1500, 0, (shard, consumed) => finished.Add((shard, consumed))))
        {
            writer.Write(Ids.AsSpan(0, 1000));
            writer.Write(Ids.AsSpan(1000, 3000));
            writer.Write(Ids.AsSpan(4000));
            Assert.Equal(3, finished.Count);
            writer.Complete();
        }

        Assert.Equal([(1500L, 500), (1500, 2000), (1500, 500), (500, 0)], finished.Select(file => (file.Shard.Tokens, file.Consumed)));
        Assert.Equal(finished.Select(file => file.Shard.File), Directory.GetFiles(folder.Root).Select(path => Path.GetFileName(path)).Order());
    }

    [Fact]
    public void A_writer_that_is_left_early_leaves_nothing_behind()
    {
        using var folder = new TemporaryFolder();
        using (var writer = new TokenShardWriter(folder.Root, "train", TokenLayout.Llmc, 2, 1500, 0, (_, _) => { }))
        {
            writer.Write(Ids.AsSpan(0, 1000));
        }

        Assert.Empty(Directory.GetFileSystemEntries(folder.Root));
    }

    [Fact]
    public void Tokenizers_are_told_apart_by_what_they_do()
    {
        var hashes = new[] { TokenizerIdentity.Hash(ByteTokenizer.Instance), TokenizerIdentity.Hash(Gpt2Tokenizer.Instance) };
        Assert.NotEqual(hashes[0], hashes[1]);
        Assert.Equal(hashes[1], TokenizerIdentity.Hash(Gpt2Tokenizer.Instance));
        var tokens = Enumerable.Range(0, 256).Select(b => new[] { (byte)b }).Append("12"u8.ToArray()).ToArray<byte[]?>();
        BytePairTokenizer Split(PieceSplitter splitter) => new(new BytePairVocabulary { Tokens = tokens, Merges = [new BytePairMerge('1', '2', 256, 0)], Splitters = [splitter] });
        // The same tokens and merges, cut otherwise.
        Assert.NotEqual(TokenizerIdentity.Hash(Split(Gpt2Splitter.Instance)), TokenizerIdentity.Hash(Split(new Llama3Splitter(1))));
    }

    private static string Write(TemporaryFolder folder, TokenLayout layout, int bytesPerToken, int[] ids)
    {
        using var writer = new TokenShardWriter(folder.Root, "train", layout, bytesPerToken, long.MaxValue, 0, (_, _) => { });
        writer.Write(ids);
        writer.Complete();
        return folder.File("train.bin");
    }
}
