using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Tests.Weights;

/// <summary>Checkpoints that PyTorch wrote (golden/pytorch.py), and archives built by hand that it never would.</summary>
public sealed class PyTorchFileTests : IDisposable
{
    private static readonly string[] FloatTypes = ["float64", "float16", "bfloat16"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Nested_dictionaries_become_paths_and_views_are_put_in_order()
    {
        using var file = PyTorchFile.Open(Golden("nested.pt"));
        var plain = Enumerable.Range(0, 24).Select(i => (float)i).ToArray();
        AssertValues(file, "model.plain.weight", [4, 6], plain);
        AssertValues(file, "model.transposed.weight", [6, 4], [.. Enumerable.Range(0, 24).Select(i => (float)((i % 4 * 6) + (i / 4)))]);
        AssertValues(file, "model.part", [6], plain[5..11]);
        AssertValues(file, "model.every.second", [12], [.. plain.Where(v => v % 2 == 1)]);
        AssertValues(file, "model.permuted", [4, 2, 3], [.. Enumerable.Range(0, 24).Select(i => (float)((i % 6 / 3 * 12) + (i % 3 * 4) + (i / 6)))]);
        AssertValues(file, "model.parameter", [2], [1.5f, -2]);
        AssertValues(file, "model.scalar", [], [7.25f]);
        AssertValues(file, "model.empty", [0, 3], []);
        AssertValues(file, "optimizer.state.0.step", [], [3]);
    }

    [Fact]
    public void Every_type_is_read()
    {
        using var file = PyTorchFile.Open(Golden("nested.pt"));
        foreach (var type in FloatTypes)
        {
            AssertValues(file, $"model.types.{type}", [4], [0, 1, 1, 0]);
        }

        (string Name, TensorDType Type)[] integers = [("int64", TensorDType.I64), ("int32", TensorDType.I32), ("int16", TensorDType.I16), ("int8", TensorDType.I8), ("uint8", TensorDType.U8), ("bool", TensorDType.Bool)];
        foreach (var (name, type) in integers)
        {
            var info = file[$"model.types.{name}"];
            Assert.Equal(type, info.DType);
            var bytes = new byte[info.ByteLength];
            file.Read(info.Name, bytes);
            Assert.Equal([0, 1, 1, 0], bytes.Chunk(type.SizeInBytes()).Select(element => element[0]));
            Assert.Equal(2, bytes.Count(b => b != 0));
        }
    }

    [Fact]
    public void Plain_values_are_metadata()
    {
        using var file = PyTorchFile.Open(Golden("nested.pt"));
        Assert.Equal("70000", file.Metadata["iteration"]);
        Assert.Equal("1099511627776", file.Metadata["large"]);
        Assert.Equal("-3", file.Metadata["negative"]);
        Assert.Equal("checkpoint ü", file.Metadata["name"]);
        Assert.Equal("True", file.Metadata["done"]);
        Assert.Equal("0.95", file.Metadata["optimizer.param_groups.0.betas.1"]);
        Assert.DoesNotContain("nothing", file.Metadata.Keys);
    }

    [Fact]
    public void Parts_of_a_strided_tensor_are_parts_of_the_whole()
    {
        using var file = PyTorchFile.Open(Golden("nested.pt"));
        var whole = new byte[96];
        file.Read("model.permuted", whole);
        foreach (var (offset, length) in new[] { (0, 1), (3, 6), (50, 46), (95, 1) })
        {
            var part = new byte[length];
            file.ReadPart("model.permuted", offset, part);
            Assert.Equal(whole[offset..(offset + length)], part);
        }
    }

    [Fact]
    public void A_state_dict_of_pickle_protocol_4_is_read()
    {
        using var file = PyTorchFile.Open(Golden("state_dict.pt"));
        Assert.Equal(["weight", "bias"], file.Names);
        AssertValues(file, "weight", [2, 3], [0, 1, 2, 3, 4, 5]);
        AssertValues(file, "bias", [2], [10, 20]);
    }

    [Theory]
    [InlineData("legacy.pt", "before 1.6")]
    [InlineData("object.pt", "refers to 'pathlib PurePosixPath'")]
    public void What_is_not_tensors_is_refused_by_name(string file, string reason) => AssertRefused(Golden(file), reason);

    [Theory]
    [InlineData("cos\nsystem\n(X\u0004\0\0\0truetR.", "'os system'")]
    [InlineData("cbuiltins\neval\n.", "'builtins eval'")]
    [InlineData("ctorch._utils\n_rebuild_tensor\n.", "'torch._utils _rebuild_tensor'")]
    [InlineData("ccollections\nOrderedDict\n(K\u0001tR.", "do not fit")]
    [InlineData("ctorch._utils\n_rebuild_tensor_v2\n)R.", "do not fit")]
    [InlineData("i", "0x69")]
    [InlineData("}}b}o.", "0x6f")]
    [InlineData("]K\u0001b.", "sets the state")]
    [InlineData("K\u0001)R.", "no function")]
    [InlineData("h\u0005.", "never kept")]
    [InlineData("q\u0005.", "empty stack")]
    [InlineData("(K\u0001s.", "empty stack")]
    [InlineData("K\u0001(e.", "no list")]
    [InlineData("]K\u0001K\u0002s.", "no dictionary")]
    [InlineData("](K\u0001u.", "no dictionary")]
    [InlineData("}(K\u0001u.", "no dictionary")]
    [InlineData("t.", "never opened")]
    [InlineData("}}.", "unfinished")]
    [InlineData("}", "ends early")]
    [InlineData("X\u0050\0\0\0a", "ends early")]
    [InlineData("}K\u0001Q.", "unknown way")]
    [InlineData("cabc", "does not end")]
    public void A_pickle_that_asks_for_anything_else_is_refused(string pickle, string reason) =>
        AssertRefused(Archive(Encoding.Latin1.GetBytes("\u0080\u0002" + pickle)), reason);

    [Theory]
    [InlineData(0, "2,3", "3,1", null)]
    [InlineData(1, "2,3", "3,1", "more elements")]
    [InlineData(0, "2,4", "4,1", "more elements")]
    [InlineData(0, "1000000", "0", "more elements")]
    [InlineData(0, "2", "9223372036854775807", "more elements")]
    [InlineData(0, "9223372036854775807,9223372036854775807,9223372036854775807", "9223372036854775807,9223372036854775807,1", "more elements")]
    [InlineData(7, "0", "1", "impossible")]
    [InlineData(-1, "1", "1", "impossible")]
    [InlineData(6, "", "", "begins after")]
    [InlineData(0, "2,3", "1", "impossible")]
    [InlineData(0, "-2", "1", "whole number")]
    public void A_tensor_must_lie_in_its_storage(long offset, string size, string strides, string? refusal)
    {
        var path = Archive(TensorPickle(offset, Longs(size), Longs(strides), 6), ("data/0", new byte[24]));
        if (refusal is not null)
        {
            AssertRefused(path, refusal);
            return;
        }

        using var file = PyTorchFile.Open(path);
        Assert.Equal(24, Assert.Single(file.Tensors).ByteLength);
    }

    [Fact]
    public void Storages_must_be_in_the_archive_whole_and_uncompressed()
    {
        var pickle = TensorPickle(0, [6], [1], 6);
        AssertRefused(Archive(pickle), "holds no storage '0'");
        AssertRefused(Archive(pickle, ("data/0", new byte[23])), "has 23 bytes");
        AssertRefused(Archive(pickle, CompressionLevel.Optimal, ("data/0", new byte[24000])), "compressed");
        AssertRefused(Archive(pickle, ("data/0", new byte[24]), ("byteorder", "big"u8.ToArray())), "big-endian");
        AssertRefused(_folder.Write("empty.pt", []), "no zip archive");
        AssertRefused(_folder.Write("other.zip", "PK\u0003\u0004 and nothing else"), "damaged");
        Assert.Throws<UserErrorException>(() => PyTorchFile.Open(_folder.File("absent.pt")));
    }

    [Fact]
    public void What_unfolds_without_end_is_refused()
    {
        // Each dictionary holds the one before twice.
        var pickle = new StringBuilder("\u0080\u0002}");
        for (var i = 0; i < 30; i++)
        {
            pickle.Append(CultureInfo.InvariantCulture, $"q{(char)i}}}(X\u0001\0\0\0ah{(char)i}X\u0001\0\0\0bh{(char)i}u");
        }

        // The dictionary that is left below each new one goes into a list with it.
        var text = pickle.ToString();
        AssertRefused(Archive(Encoding.Latin1.GetBytes(text[..2] + "(" + text[2..] + "t.")), "unfolds");
        AssertRefused(Archive(Encoding.Latin1.GetBytes("\u0080\u0002}q\u0001X\u0001\0\0\0ah\u0001s.")), "nested deeper");
    }

    [Fact]
    public void A_storage_larger_than_the_file_is_refused_before_memory_is_asked_for()
    {
        const int Claimed = 200 << 20;
        var pickle = TensorPickle(0, [2, 2], [1, 2], 4);
        var path = Archive(pickle, ("data/0", new byte[16]));
        var bytes = File.ReadAllBytes(path);
        // The directory's entry: compressed and plain length stand 26 and 22 bytes before its name.
        var name = bytes.AsSpan().LastIndexOf("a/data/0"u8);
        BitConverter.TryWriteBytes(bytes.AsSpan(name - 26), Claimed);
        BitConverter.TryWriteBytes(bytes.AsSpan(name - 22), Claimed);
        AssertRefused(_folder.Write("archive.pt", bytes), "by the archive's directory");
    }

    private static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "Weights", "golden", name);

    private static long[] Longs(string list) => list.Length == 0 ? [] : [.. list.Split(',').Select(text => long.Parse(text, CultureInfo.InvariantCulture))];

    private static byte[] TensorPickle(long offset, long[] size, long[] strides, byte count)
    {
        var pickle = new StringBuilder("\u0080\u0002}X\u0001\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\u0007\0\0\0storagectorch\nFloatStorage\nX\u0001\0\0\00X\u0003\0\0\0cpu");
        pickle.Append('K').Append((char)count).Append("tQ");
        Integer(offset);
        foreach (var list in new[] { size, strides })
        {
            pickle.Append('(');
            Array.ForEach(list, Integer);
            pickle.Append('t');
        }

        pickle.Append("\u0089ccollections\nOrderedDict\n)RtRs.");
        return Encoding.Latin1.GetBytes(pickle.ToString());

        void Integer(long value) => pickle.Append("\u008a\u0008").Append(Encoding.Latin1.GetString(BitConverter.GetBytes(value)));
    }

    private string Archive(byte[] pickle, params (string Name, byte[] Content)[] more) => Archive(pickle, CompressionLevel.NoCompression, more);

    private string Archive(byte[] pickle, CompressionLevel level, params (string Name, byte[] Content)[] more)
    {
        using var bytes = new MemoryStream();
        using (var archive = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in more.Prepend(("data.pkl", pickle)))
            {
                using var entry = archive.CreateEntry("a/" + name, name == "data.pkl" ? CompressionLevel.NoCompression : level).Open();
                entry.Write(content);
            }
        }

        return _folder.Write("archive.pt", bytes.ToArray());
    }

    private static void AssertValues(PyTorchFile file, string name, long[] shape, float[] expected)
    {
        Assert.Equal(shape, file[name].Shape);
        var values = new float[expected.Length];
        file.ReadSingles(name, values);
        Assert.Equal(expected, values);
        if (file[name].DType == TensorDType.F32)
        {
            var bytes = new byte[file[name].ByteLength];
            file.Read(name, bytes);
            Assert.Equal(expected, MemoryMarshal.Cast<byte, float>(bytes).ToArray());
        }
    }

    private static void AssertRefused(string path, string reason)
    {
        var error = Assert.Throws<WeightsFormatException>(() => PyTorchFile.Open(path).Dispose());
        Assert.Contains(reason, error.Message);
        Assert.StartsWith(path, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }
}
