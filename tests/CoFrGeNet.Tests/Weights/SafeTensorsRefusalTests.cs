using System.Buffers.Binary;
using System.Text;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Tests.Weights;

public sealed class SafeTensorsRefusalTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 7, "truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 9, "belong to no tensor")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", 8, "overlap")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}}""", 9, "hole")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", 8, "hole")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "12 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[],"data_offsets":[0,8]}}""", 8, "4 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,8]}}""", 8, "0 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "overflows")]
    [InlineData("""{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807,9223372036854775807],"data_offsets":[0,4]}}""", 4, "overflows")]
    [InlineData("""{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}}""", 4, "whole number")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "whole number")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}""", 8, "whole number")]
    [InlineData("""{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}""", 8, "whole number")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "begin and an end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}""", 8, "more than 2 numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}""", 8, "whole number")]
    [InlineData("""{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}""", 8, "unknown dtype 'F31'")]
    [InlineData("""{"a":{"dtype":"f32","shape":[2],"data_offsets":[0,8]}}""", 8, "unknown dtype")]
    [InlineData("""{"a":{"dtype":"1","shape":[8],"data_offsets":[0,8]}}""", 8, "unknown dtype")]
    [InlineData("""{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}""", 8, "twice")]
    [InlineData("""{"a":{"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", 8, "repeated")]
    [InlineData("""{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"x":1}}""", 8, "unknown or repeated member 'x'")]
    [InlineData("""{"a":{"dtype":"U8","shape":[8]}}""", 8, "lacks")]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "not a string")]
    [InlineData("""{"__metadata__":{"a":"1","a":"2"}}""", 0, "twice")]
    [InlineData("""{"__metadata__":[]}""", 0, "not an object of strings")]
    [InlineData("""{"a":7}""", 0, "not an object")]
    [InlineData("[]", 0, "not a JSON object")]
    [InlineData("{}{}", 0, "JSON")]
    [InlineData("{", 0, "JSON")]
    [InlineData("", 0, "JSON")]
    [InlineData("""{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "Unicode")]
    public void A_header_that_breaks_the_format_is_refused_with_file_and_reason(string header, int dataBytes, string reason) =>
        AssertRefused(SafeTensorsTests.Bytes(header, new byte[dataBytes]), reason);

    [Fact]
    public void Lengths_that_cannot_be_are_refused_without_reading_them()
    {
        AssertRefused([1, 2, 3], "too few");
        AssertRefused([], "too few");
        foreach (var length in new[] { 100_000_001UL, ulong.MaxValue, 1UL << 63 })
        {
            var bytes = new byte[100];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
            AssertRefused(bytes, "limit");
        }

        AssertRefused([100, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'}'], "truncated");
        AssertRefused([2, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFE], "JSON");
    }

    [Fact]
    public void A_shape_of_many_extents_neither_hangs_nor_takes_memory()
    {
        // A million extents of 1 fit into 2 MB of header; checking each against all others would take minutes.
        var shape = string.Join(',', Enumerable.Repeat("1", 1_000_000));
        AssertRefused(SafeTensorsTests.Bytes($$$"""{"a":{"dtype":"U8","shape":[{{{shape}}}],"data_offsets":[0,1]}}""", new byte[1]), "more than 16 numbers");
    }

    [Fact]
    public void Long_names_of_many_tensors_are_refused()
    {
        var name = new string('n', 4000);
        var entries = string.Join(',', Enumerable.Range(0, 4300).Select(i => $$"""
            "{{name}}{{i}}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}
            """));
        AssertRefused(SafeTensorsTests.Bytes("{" + entries + "}", []), "names in the header take more than");
    }

    [Fact]
    public void A_long_type_name_is_refused() =>
        AssertRefused(SafeTensorsTests.Bytes($$$"""{"a":{"dtype":"{{{new string('F', 5000)}}}","shape":[0],"data_offsets":[0,0]}}""", []), "not a short string");

    [Fact]
    public void An_empty_file_of_the_format_is_valid()
    {
        using var file = SafeTensorsFile.Open(_folder.Write("empty", SafeTensorsTests.Bytes("{}", [])));
        Assert.Empty(file.Tensors);
        Assert.Empty(file.Metadata);
    }

    [Fact]
    public void A_mutated_file_is_refused_or_consistent()
    {
        var path = _folder.File("fuzz");
        SafeTensorsWriter.Write(
            path,
            [
                TensorEntry.FromSingles("a.weight", [3, 5], new float[15]),
                TensorEntry.FromSingles("b", [], new float[1]),
                TensorEntry.FromBytes("c", TensorDType.Bool, [2, 2], new byte[4]),
            ],
            new Dictionary<string, string> { ["format"] = "pt" });
        var original = File.ReadAllBytes(path);
        var refused = 0;
        var random = new Random(11);
        for (var round = 0; round < 1500; round++)
        {
            var mutated = Mutate(original, random);
            File.WriteAllBytes(path, mutated);
            try
            {
                using var file = SafeTensorsFile.Open(path);
                Assert.Equal(mutated.Length, file.Tensors.Sum(t => t.ByteLength) + 8 + BinaryPrimitives.ReadInt64LittleEndian(mutated));
                foreach (var info in file.Tensors)
                {
                    Assert.Equal(info.ElementCount, info.Shape.Aggregate(1L, (a, b) => checked(a * b)));
                    file.Read(info.Name, new byte[info.ByteLength]);
                }
            }
            catch (WeightsFormatException e)
            {
                Assert.StartsWith(path, e.Message, StringComparison.Ordinal);
                Assert.DoesNotContain('\n', e.Message);
                refused++;
            }
        }

        Assert.InRange(refused, 500, 1499);
    }

    private static byte[] Mutate(byte[] original, Random random)
    {
        var bytes = original.ToList();
        for (var edits = random.Next(1, 4); edits > 0; edits--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    // Mostly structure: what a JSON reader must tell apart.
                    bytes[at] = Encoding.ASCII.GetBytes("{}[]\",:0189-eF\\")[random.Next(15)];
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 9), bytes.Count - at - (at == 0 ? 1 : 0)));
                    break;
                case 3:
                    bytes.Insert(at, (byte)"0129,]}"[random.Next(7)]);
                    break;
                default:
                    bytes.AddRange(bytes.GetRange(at, Math.Min(8, bytes.Count - at)));
                    break;
            }

            if (bytes.Count == 0)
            {
                break;
            }
        }

        return [.. bytes];
    }

    private void AssertRefused(byte[] content, string reason)
    {
        var path = _folder.Write("bad.safetensors", content);
        var error = Assert.Throws<WeightsFormatException>(() => SafeTensorsFile.Open(path));
        Assert.Equal(path, error.Path);
        Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }
}
