using System.Buffers.Binary;
using System.Text;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Tests.Weights;

/// <summary>Damaged files: whatever is in them, they are read or refused with the one error of damaged files, without crash, hang or flood of memory.</summary>
public sealed class WeightsFuzzTests : IDisposable
{
    private const long Allowance = 64 << 20;

    private static readonly byte[][] Interesting =
    [
        [0xff], [0x00], [0x7f], [0x80], [(byte)'('], [(byte)'.'], [(byte)'}'], [(byte)'R'], [(byte)'Q'], [0x8a, 0x08],
        [0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0, 0, 0, 0, 0x80],
        [.. "9223372036854775807"u8], [.. "-1"u8], [.. "{\"a\":"u8], [.. "["u8], [.. "]"u8], [.. "\"F64\""u8], [.. "PK\u0005\u0006"u8],
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("safetensors", 200)]
    [InlineData("nested.pt", 120)]
    [InlineData("state_dict.pt", 80)]
    [InlineData("index", 80)]
    public void Mutated_files_are_read_or_refused(string kind, int count)
    {
        var original = Original(kind);
        var path = _folder.Write(kind, original);
        _folder.Write("shard.safetensors", SmallFile());
        Assert.Null(Outcome(kind, path));
        var refused = 0;
        for (var seed = 0; seed < count; seed++)
        {
            File.WriteAllBytes(path, Mutate(original, new Random(seed)));
            var before = GC.GetAllocatedBytesForCurrentThread();
            var error = Outcome(kind, path);
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(error is null or WeightsFormatException or UserErrorException, $"{kind}, seed {seed}: {error}");
            Assert.True(allocated <= original.Length + Allowance, $"{kind}, seed {seed}: {allocated} bytes");
            refused += error is null ? 0 : 1;
        }

        // Mutations that never hit anything would prove nothing.
        Assert.InRange(refused, count / 4, count);
    }

    [Fact]
    public void Short_files_that_ask_for_much_get_little()
    {
        // A pickle of nothing but empty dictionaries, lists, tuples, marks and memo entries, as many as are read.
        foreach (var pattern in new[] { "}", "]", ")", "(", "(t", "}\u0094", "N", ")\u0085", "](K\u0001e" })
        {
            var pickle = new byte[2 + PickleMachine.MaxOperations + 50];
            Encoding.Latin1.GetBytes("\u0080\u0002").CopyTo(pickle, 0);
            for (var i = 2; i < pickle.Length; i++)
            {
                pickle[i] = (byte)pattern[(i - 2) % pattern.Length];
            }

            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Throws<WeightsFormatException>(() => { PickleMachine.Read("file", pickle); });
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated <= pickle.Length + Allowance, $"'{pattern}': {allocated} bytes");
        }
    }

    [Fact]
    public void Headers_that_are_all_names_get_little()
    {
        // Tensors of nothing, one endless name, one endless text.
        var many = new StringBuilder("{");
        for (var i = 0; i < SafeTensorsHeader.MaxTensors + 10; i++)
        {
            many.Append(i == 0 ? string.Empty : ",").Append('"').Append(i).Append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
        }

        var endless = new string('x', 40 << 20);
        (string Header, string Reason)[] headers =
        [
            (many.Append('}').ToString(), "more than 65536 tensors"),
            ($"{{\"{endless}\":{{}}}}", "a name of"),
            ($"{{\"__metadata__\":{{\"a\":\"{endless}\"}}}}", "__metadata__ takes more than"),
        ];
        foreach (var (header, reason) in headers)
        {
            var bytes = SafeTensorsTests.Bytes(header, []);
            var path = _folder.Write("header", bytes);
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Contains(reason, Assert.Throws<WeightsFormatException>(() => SafeTensorsFile.Open(path)).Message);
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated <= bytes.Length + Allowance, $"{reason}: {allocated} bytes for {bytes.Length}");
        }
    }

    private byte[] Original(string kind) => kind switch
    {
        "safetensors" => SmallFile(),
        "index" => """{"metadata":{"total_size":40},"weight_map":{"a":"shard.safetensors","b":"shard.safetensors","c":"shard.safetensors"}}"""u8.ToArray(),
        _ => File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Weights", "golden", kind)),
    };

    private byte[] SmallFile()
    {
        var path = _folder.File("small");
        SafeTensorsWriter.Write(
            path,
            [TensorEntry.FromSingles("a", [2, 3], new float[6]), TensorEntry.FromBytes("b", TensorDType.BF16, [4], new byte[8]), TensorEntry.FromBytes("c", TensorDType.I64, [], new byte[8])],
            new Dictionary<string, string> { ["format"] = "pt" });
        return File.ReadAllBytes(path);
    }

    // Opens and reads everything; the error, or null.
    private static Exception? Outcome(string kind, string path) => Record.Exception(() =>
    {
        using TensorSource source = kind switch
        {
            "safetensors" => SafeTensorsFile.Open(path),
            "index" => ShardedTensors.Open(path),
            _ => PyTorchFile.Open(path),
        };
        foreach (var info in source.Tensors)
        {
            source.Read(info.Name, new byte[info.ByteLength]);
            if (source is SafeTensorsFile file)
            {
                Assert.Equal(info.ByteLength, file.View(info.Name).Length);
            }
        }
    });

    private static byte[] Mutate(byte[] original, Random random)
    {
        var bytes = original.ToList();
        for (var changes = random.Next(1, 5); changes > 0 && bytes.Count > 0; changes--)
        {
            // Half of the changes go to the first part, where headers and pickles are.
            var at = random.Next(random.Next(2) == 0 ? Math.Min(bytes.Count, 400) : bytes.Count);
            switch (random.Next(7))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes.RemoveRange(at, random.Next(Math.Min(20, bytes.Count - at)));
                    break;
                case 3:
                    bytes.InsertRange(at, Interesting[random.Next(Interesting.Length)]);
                    break;
                case 4:
                    var chunk = Interesting[random.Next(Interesting.Length)];
                    for (var i = 0; i < chunk.Length && at + i < bytes.Count; i++)
                    {
                        bytes[at + i] = chunk[i];
                    }

                    break;
                case 5:
                    bytes.InsertRange(at, bytes.GetRange(at, random.Next(Math.Min(40, bytes.Count - at))));
                    break;
                default:
                    bytes.RemoveRange(at, random.Next(4) == 0 ? bytes.Count - at : 0);
                    var length = new byte[8];
                    BinaryPrimitives.WriteInt64LittleEndian(length, random.NextInt64());
                    bytes.InsertRange(Math.Min(at, bytes.Count), length[..random.Next(9)]);
                    break;
            }
        }

        return [.. bytes];
    }
}
