using System.Buffers.Binary;
using System.Text;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Reporting;

public sealed class EventFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_reader_below_knows_the_published_check_values()
    {
        // RFC 3720, B.4: 32 bytes of zeroes, 32 of ones, 0 .. 31.
        Assert.Equal(0x8A9136AAu, Crc32C(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C([.. Enumerable.Repeat((byte)0xFF, 32)]));
        Assert.Equal(0x46DD794Eu, Crc32C([.. Enumerable.Range(0, 32).Select(i => (byte)i)]));
    }

    [Fact]
    public void The_reader_below_understands_another_writer()
    {
        // The first three records that TorchSharp 0.107's SummaryWriter, with Google's protobuf under it, left of a run.
        const string Golden =
            "GAAAAAAAAACjf0siCc+kp2CTvqFDGg1icmFpbi5FdmVudDoyopwYRCAAAAAAAAAAKe2pUAkAAIAwL8HaQRABKhMKEQoKbG9z" +
            "cy90cmFpbhW7J7pAZkx7bSIAAAAAAAAAeBE9/QkAAIAwL8HaQRABKhUKEwoMbGVhcm5pbmdSYXRlFaabRDudD/qe";
        var events = Read(_folder.Write("golden", Convert.FromBase64String(Golden)));
        Assert.Equal(["brain.Event:2", null, null], events.Select(e => e.Version));
        Assert.Equal((1L, ("loss/train", BitConverter.Int32BitsToSingle(0x40BA27BB))), (events[1].Step, Assert.Single(events[1].Scalars)));
        Assert.Equal((1L, ("learningRate", BitConverter.Int32BitsToSingle(0x3B449BA6))), (events[2].Step, Assert.Single(events[2].Scalars)));
    }

    [Fact]
    public void What_is_written_is_what_a_reader_finds()
    {
        using (var file = new EventFile(_folder.File("board"), 1000.5))
        {
            file.Write(1001, 1, [("loss/train", 2.5), ("learningRate", 1e-3)]);
            file.Write(1002.25, 100_000, [("loss/validation", 1.75)]);
        }

        var events = Read(Assert.Single(Directory.GetFiles(_folder.File("board"))));
        Assert.Equal(4, events.Count);
        Assert.Equal((1000.5, 0L, "brain.Event:2"), (events[0].Time, events[0].Step, events[0].Version));
        // SessionLog.START at step 0: forget what an older file said.
        Assert.Equal([1 << 3, 1], events[1].Session!);
        Assert.Equal((1001.0, 1L), (events[2].Time, events[2].Step));
        Assert.Equal([("loss/train", 2.5f), ("learningRate", 1e-3f)], events[2].Scalars);
        Assert.Equal((1002.25, 100_000L), (events[3].Time, events[3].Step));
        Assert.Equal([("loss/validation", 1.75f)], events[3].Scalars);
    }

    [Fact]
    public void A_resumed_run_has_every_step_once()
    {
        var config = TrainingSamples.Run("f", training => training with { CheckpointEvery = 4, EvaluateEvery = 4 });
        var run = TrainingSamples.Folder(_folder, config);
        foreach (var (until, from) in new[] { (7, 0), (8, 4) })
        {
            using var log = new MetricsLog(run, config, from);
            using var trainer = new Trainer(config, TrainingSamples.Text, run, log);
            if (from > 0)
            {
                // The checkpoint of the stop at 7 is lost, as after a power cut.
                Directory.Delete(run.Checkpoints.Finished[0], recursive: true);
                Assert.True(trainer.Resume());
            }

            trainer.Train(until);
        }

        var events = Read(Assert.Single(Directory.GetFiles(run.TensorBoardFolder)));
        Assert.Equal(Enumerable.Range(1, 8).Select(step => (long)step), events.Where(e => e.Scalars.Any(s => s.Tag == "loss/train")).Select(e => e.Step));
        Assert.Equal([4L, 8], events.Where(e => e.Scalars.Any(s => s.Tag == "loss/validation")).Select(e => e.Step));
        Assert.Equal(
            ["learningRate", "loss/train", "tokensPerSecond"],
            events[2].Scalars.Select(s => s.Tag).Where(tag => !tag.StartsWith("gradientNorm/", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        Assert.Contains(events[2].Scalars, s => s.Tag == "gradientNorm/ladders");
        Assert.All(events.Skip(1).Zip(events.Skip(2)), pair => Assert.True(pair.First.Time <= pair.Second.Time || pair.First.Session is not null));
    }

    [Fact]
    public void Only_event_files_are_replaced()
    {
        var folder = _folder.File("board");
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "mine.txt"), "mine");
        File.WriteAllText(Path.Combine(folder, "events.out.tfevents.5000000000.host"), "old");
        new EventFile(folder, 1000).Dispose();

        // The new one is read after the old one, also where a clock went back.
        Assert.Equal(["events.out.tfevents.5000000001.cofrgenet", "mine.txt"], Directory.GetFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    // An independent reader: a sum by table-free division, and protobuf's wire format by hand.
    private static List<Event> Read(string path)
    {
        var bytes = File.ReadAllBytes(path);
        var events = new List<Event>();
        for (var at = 0; at < bytes.Length;)
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            Assert.Equal(Masked(bytes.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            var data = bytes.AsSpan(at + 12, length);
            Assert.Equal(Masked(data), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            events.Add(Event.Parse(data));
            at += 16 + length;
        }

        return events;
    }

    private static uint Masked(ReadOnlySpan<byte> data)
    {
        var crc = Crc32C(data);
        return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
    }

    private static uint Crc32C(ReadOnlySpan<byte> data)
    {
        var crc = 0xFFFFFFFFu;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0x82F63B78u;
            }
        }

        return ~crc;
    }

    private sealed record Event(double Time, long Step, string? Version, byte[]? Session, List<(string Tag, float Value)> Scalars)
    {
        public static Event Parse(ReadOnlySpan<byte> data)
        {
            var fields = Fields(data);
            var scalars = fields.Where(field => field.Number == 5).SelectMany(summary => Fields(summary.Content)).Select(value =>
            {
                Assert.Equal(1, value.Number);
                var members = Fields(value.Content);
                return (Encoding.UTF8.GetString(members.Single(m => m.Number == 1).Content), BinaryPrimitives.ReadSingleLittleEndian(members.Single(m => m.Number == 2).Content));
            });
            return new Event(
                BinaryPrimitives.ReadDoubleLittleEndian(fields.Single(field => field.Number == 1).Content),
                fields.Where(field => field.Number == 2).Select(field => BitConverter.ToInt64(field.Content)).SingleOrDefault(),
                fields.Where(field => field.Number == 3).Select(field => Encoding.UTF8.GetString(field.Content)).SingleOrDefault(),
                fields.Where(field => field.Number == 7).Select(field => field.Content).SingleOrDefault(),
                [.. scalars]);
        }

        private static List<(int Number, byte[] Content)> Fields(ReadOnlySpan<byte> data)
        {
            var fields = new List<(int, byte[])>();
            while (data.Length > 0)
            {
                var key = Varint(ref data);
                var length = (key & 7) switch { 0 => 0, 1 => 8, 5 => 4, 2 => (int)Varint(ref data), var other => throw new InvalidDataException($"wire type {other}") };
                byte[] content = (key & 7) == 0 ? BitConverter.GetBytes(Varint(ref data)) : data[..length].ToArray();
                data = data[length..];
                fields.Add(((int)(key >> 3), content));
            }

            return fields;
        }

        private static long Varint(ref ReadOnlySpan<byte> data)
        {
            long value = 0;
            for (var shift = 0; ; shift += 7)
            {
                var next = data[0];
                data = data[1..];
                value |= (long)(next & 0x7F) << shift;
                if (next < 0x80)
                {
                    return value;
                }
            }
        }
    }
}
