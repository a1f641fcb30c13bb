using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Tests.Weights;

public sealed class SafeTensorsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Every_type_comes_back_bit_equal()
    {
        var random = new Random(1);
        var tensors = new Dictionary<string, (TensorDType Type, long[] Shape, byte[] Data)>();
        foreach (var type in Enum.GetValues<TensorDType>())
        {
            foreach (var shape in new long[][] { [], [0], [3], [2, 0, 5], [3, 1, 7] })
            {
                var data = new byte[shape.Aggregate(1L, (a, b) => a * b) * type.SizeInBytes()];
                random.NextBytes(data);
                tensors.Add($"wé\"\\{type}.{string.Join('x', shape)}", (type, shape, data));
            }
        }

        var path = _folder.File("all.safetensors");
        SafeTensorsWriter.Write(
            path,
            tensors.Select(t => TensorEntry.FromBytes(t.Key, t.Value.Type, t.Value.Shape, t.Value.Data)),
            new Dictionary<string, string> { ["format"] = "pt", ["note"] = "line\nbreak" });
        using var file = SafeTensorsFile.Open(path);
        Assert.Equal(tensors.Keys.Order(), file.Names.Order());
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal("line\nbreak", file.Metadata["note"]);
        foreach (var (name, (type, shape, data)) in tensors)
        {
            var info = file[name];
            Assert.Equal(type, info.DType);
            Assert.Equal(shape, info.Shape);
            Assert.Equal(0, info.ByteLength == 0 ? 0 : info.ByteOffset % type.SizeInBytes());
            var read = new byte[info.ByteLength];
            file.Read(name, read);
            Assert.Equal(data, read);
        }
    }

    [Fact]
    public void A_file_built_by_hand_is_read()
    {
        var path = _folder.Write("hand", Bytes(
            """{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]},"a":{"data_offsets":[0,8],"shape":[1,2],"dtype":"F32"}}   """,
            [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 0x80, 0x3F, 0x20, 0xC0]));
        using var file = SafeTensorsFile.Open(path);
        Assert.Equal(["a", "b"], file.Names);
        Assert.Equal([1, 2], file["a"].Shape);
        var values = new float[2];
        file.ReadSingles("a", values);
        Assert.Equal([1f, -2f], values);
        file.ReadSingles("b", values);
        Assert.Equal([1f, -2.5f], values);
        var part = new byte[2];
        file.ReadPart("b", 2, part);
        Assert.Equal([0x20, 0xC0], part);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadPart("b", 3, new byte[2]));
        Assert.Throws<ArgumentException>(() => file.Read("a", new byte[4]));
        Assert.Throws<KeyNotFoundException>(() => file["c"]);
        Assert.False(file.TryGet("c", out _));
    }

    [Fact]
    public void The_written_bytes_are_those_of_the_format()
    {
        var path = _folder.File("w");
        SafeTensorsWriter.Write(
            path,
            [TensorEntry.FromBytes("n", TensorDType.U8, [1], new byte[] { 9 }), TensorEntry.FromSingles("x", [2], new float[] { 1, -2 })],
            new Dictionary<string, string> { ["format"] = "pt" });
        const string Json = """{"__metadata__":{"format":"pt"},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"n":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}}""";
        var expected = Bytes(Json.PadRight((Json.Length + 7) / 8 * 8), [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 9]);
        Assert.Equal(expected, File.ReadAllBytes(path));
    }

    [Fact]
    public void Other_float_types_are_widened()
    {
        var halves = Enumerable.Range(0, 5000).Select(i => (Half)(i / 8f)).ToArray();
        var doubles = Enumerable.Range(0, 1111).Select(i => i / 3.0).ToArray();
        var path = _folder.File("f");
        SafeTensorsWriter.Write(path,
        [
            TensorEntry.FromBytes("h", TensorDType.F16, [5000], MemoryMarshal.AsBytes(halves.AsSpan()).ToArray()),
            TensorEntry.FromBytes("d", TensorDType.F64, [1111], MemoryMarshal.AsBytes(doubles.AsSpan()).ToArray()),
            TensorEntry.FromBytes("i", TensorDType.I32, [1], new byte[4]),
        ]);
        using var file = SafeTensorsFile.Open(path);
        var read = new float[5000];
        file.ReadSingles("h", read);
        Assert.Equal(halves.Select(h => (float)h), read);
        file.ReadSingles("d", read.AsSpan(0, 1111));
        Assert.Equal(doubles.Select(d => (float)d), read[..1111]);
        Assert.Throws<WeightsFormatException>(() => file.ReadSingles("i", new float[1]));
    }

    [Theory]
    [InlineData("tiny_gpt2_random/model.safetensors", 16)]
    [InlineData("stories260K/hf/model.safetensors", 47)]
    public void Files_of_other_writers_open_and_read(string name, int tensors)
    {
        using var file = SafeTensorsFile.Open(SharedData.PathOrSkip("checkpoints/" + name));
        Assert.InRange(file.Tensors.Count, Math.Min(tensors, 10), 47);
        foreach (var info in file.Tensors.Where(t => t.DType == TensorDType.F32))
        {
            var values = new float[info.ElementCount];
            file.ReadSingles(info.Name, values);
            Assert.All(values, value => Assert.True(float.IsFinite(value)));
        }
    }

    [Fact]
    public void An_entry_of_the_wrong_length_leaves_the_old_file_and_nothing_else()
    {
        var path = _folder.Write("m.safetensors", "old");
        Assert.Throws<InvalidOperationException>(() => SafeTensorsWriter.Write(path, [TensorEntry.FromSingles("x", [3], new float[2])]));
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.Root));
    }

    [Fact]
    public void Bad_entries_are_refused_before_anything_is_written()
    {
        var x = TensorEntry.FromSingles("x", [1], new float[1]);
        var path = _folder.File("m");
        Assert.Throws<ArgumentException>(() => SafeTensorsWriter.Write(path, [x, x]));
        Assert.Throws<ArgumentException>(() => SafeTensorsWriter.Write(path, [x with { Name = "__metadata__" }]));
        Assert.Throws<ArgumentException>(() => SafeTensorsWriter.Write(path, [x with { Shape = [-1] }]));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Root));
    }

    [Fact]
    public void A_missing_file_is_a_user_error() =>
        Assert.Throws<UserErrorException>(() => SafeTensorsFile.Open(_folder.File("none.safetensors")));

    internal static byte[] Bytes(string header, byte[] data)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var length = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)json.Length);
        return [.. length, .. json, .. data];
    }
}
