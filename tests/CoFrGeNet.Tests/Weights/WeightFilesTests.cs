using System.Text.Json;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Tests.Weights;

public sealed class WeightFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1000, 1)]
    [InlineData(48, 3)]
    [InlineData(1, 5)]
    public void Shards_hold_what_went_in(long shardBytes, int shards)
    {
        var entries = Enumerable.Range(0, 5).Select(i => TensorEntry.FromSingles($"t{i}", [2, 3], Values(i))).ToArray();
        var files = WeightFiles.Write(_folder.Root, entries, shardBytes, new Dictionary<string, string> { ["format"] = "pt" });
        Assert.Equal(shards == 1 ? 1 : shards + 1, files.Count);
        Assert.Equal(files.Order(), Directory.GetFiles(_folder.Root).Select(Path.GetFileName).Order());
        if (shards > 1)
        {
            using var index = JsonDocument.Parse(File.ReadAllText(_folder.File(WeightFiles.SafeTensorsIndex)));
            Assert.Equal(120, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
            Assert.Equal($"model-00001-of-0000{shards}.safetensors", index.RootElement.GetProperty("weight_map").GetProperty("t0").GetString());
        }

        using var source = WeightFiles.Open(_folder.Root);
        Assert.Equal("pt", source.Metadata["format"]);
        Assert.Equal(["t0", "t1", "t2", "t3", "t4"], source.Names.Order());
        for (var i = 0; i < 5; i++)
        {
            var values = new float[6];
            source.ReadSingles($"t{i}", values);
            Assert.Equal(Values(i), values);
        }
    }

    [Theory]
    [InlineData("{}", "no object 'weight_map'")]
    [InlineData("""{"weight_map":[]}""", "no object 'weight_map'")]
    [InlineData("""{"weight_map":{}}""", "names no tensor")]
    [InlineData("""{"weight_map":{"a":"../secret.safetensors"}}""", "not a plain file name")]
    [InlineData("""{"weight_map":{"a":"/etc/x.safetensors"}}""", "not a plain file name")]
    [InlineData("""{"weight_map":{"a":".safetensors"}}""", "not a plain file name")]
    [InlineData("""{"weight_map":{"a":7}}""", "not a plain file name")]
    [InlineData("""{"weight_map":{"a":"one.safetensors","a":"one.safetensors"}}""", "twice")]
    [InlineData("""{"weight_map":{"a":"one.safetensors"}}""", "holds 'b'")]
    [InlineData("""{"weight_map":{"a":"one.safetensors","b":"one.safetensors","c":"one.safetensors"}}""", "'c' shall be in one.safetensors")]
    [InlineData("""{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}""", "'b' shall be in two.safetensors, but is in one.safetensors")]
    [InlineData("""{"weight_map":{"a":"one.safetensors","b":"one.safetensors","d":"again.safetensors"}}""", "'a' shall be in one.safetensors, but is in again.safetensors")]
    public void An_index_that_does_not_fit_its_shards_is_refused(string index, string reason)
    {
        var a = TensorEntry.FromSingles("a", [1], new float[1]);
        SafeTensorsWriter.Write(_folder.File("one.safetensors"), [a, a with { Name = "b" }]);
        SafeTensorsWriter.Write(_folder.File("two.safetensors"), [a with { Name = "z" }]);
        SafeTensorsWriter.Write(_folder.File("again.safetensors"), [a, a with { Name = "d" }]);
        _folder.Write(WeightFiles.SafeTensorsIndex, index);
        Assert.Contains(reason, Assert.Throws<WeightsFormatException>(() => WeightFiles.Open(_folder.Root)).Message);
    }

    [Fact]
    public void A_folder_without_weights_or_a_shard_is_a_users_mistake()
    {
        Assert.Contains("model.safetensors.index.json", Assert.Throws<UserErrorException>(() => WeightFiles.Open(_folder.Root)).Message);
        _folder.Write(WeightFiles.SafeTensorsIndex, """{"weight_map":{"a":"gone.safetensors"}}""");
        Assert.Contains("gone.safetensors", Assert.Throws<UserErrorException>(() => WeightFiles.Open(_folder.Root)).Message);
    }

    [Fact]
    public void A_view_shows_the_same_bytes_as_a_read()
    {
        WeightFiles.Write(_folder.Root, [TensorEntry.FromSingles("a", [6], Values(1)), TensorEntry.FromSingles("none", [0], Array.Empty<float>()), TensorEntry.FromBytes("b", TensorDType.U16, [3], new byte[] { 1, 2, 3, 4, 5, 6 })]);
        var file = SafeTensorsFile.Open(_folder.File(WeightFiles.SafeTensors));
        foreach (var info in file.Tensors)
        {
            var bytes = new byte[info.ByteLength];
            file.Read(info.Name, bytes);
            Assert.Equal(bytes, file.View(info.Name));
        }

        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => { file.View("a"); });
    }

    private static float[] Values(int i) => [i, i + 0.5f, -i, 1, 2, 3];
}
