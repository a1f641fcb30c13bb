using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace CoFrGeNet.Training;

/// <summary>
/// Writes scalars as TensorBoard reads them: a file of records (length, its masked CRC-32C, data, its masked CRC-32C), each an <c>Event</c>
/// message of TensorFlow's event.proto in protobuf's wire format. A record is one write, so what a killed run leaves is whole.
/// </summary>
public sealed class EventFile : IDisposable
{
    // Field numbers shifted by 3, with the wire type below: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes.
    private const byte WallTime = (1 << 3) | 1;
    private const byte Step = (2 << 3) | 0;
    private const byte FileVersion = (3 << 3) | 2;
    private const byte Summary = (5 << 3) | 2;
    private const byte SessionLog = (7 << 3) | 2;
    private const byte SummaryValue = (1 << 3) | 2;
    private const byte ValueTag = (1 << 3) | 2;
    private const byte ValueSimple = (2 << 3) | 5;
    private const byte SessionStatus = (1 << 3) | 0;
    private const byte SessionStart = 1;

    private readonly FileStream _stream;

    /// <summary>Starts a file in place of those that are there. A TensorBoard that reads along forgets what they said.</summary>
    /// <param name="folder">The folder; it is created. Only event files are deleted from it.</param>
    /// <param name="time">Seconds since 1970.</param>
    public EventFile(string folder, double time)
    {
        Directory.CreateDirectory(folder);
        var old = Directory.GetFiles(folder, "events.out.tfevents.*");
        // Files are read in the order of their names, so a new one must come last.
        var number = old.Select(file => long.TryParse(Path.GetFileName(file).Split('.')[3], out var taken) ? taken + 1 : 0).Append((long)time).Max();
        _stream = new FileStream(
            Path.Combine(folder, $"events.out.tfevents.{number:D10}.cofrgenet"), FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        Write(time, step: 0, FileVersion, "brain.Event:2"u8);
        Write(time, step: 0, SessionLog, [SessionStatus, SessionStart]);
        foreach (var file in old)
        {
            File.Delete(file);
        }
    }

    /// <summary>Writes the scalars of one step.</summary>
    /// <param name="time">Seconds since 1970.</param>
    /// <param name="step">Steps done.</param>
    /// <param name="scalars">Name and value.</param>
    public void Write(double time, long step, IEnumerable<(string Tag, double Value)> scalars)
    {
        var summary = new ArrayBufferWriter<byte>();
        foreach (var (tag, value) in scalars)
        {
            var entry = new ArrayBufferWriter<byte>();
            PutBytes(entry, ValueTag, Encoding.UTF8.GetBytes(tag));
            entry.Write([ValueSimple]);
            BinaryPrimitives.WriteSingleLittleEndian(entry.GetSpan(4), (float)value);
            entry.Advance(4);
            PutBytes(summary, SummaryValue, entry.WrittenSpan);
        }

        Write(time, step, Summary, summary.WrittenSpan);
    }

    /// <summary>Makes what was written outlive a power cut.</summary>
    public void Flush() => _stream.Flush(flushToDisk: true);

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private static void PutBytes(ArrayBufferWriter<byte> writer, byte key, ReadOnlySpan<byte> content)
    {
        writer.Write([key]);
        PutVarint(writer, (ulong)content.Length);
        writer.Write(content);
    }

    private static void PutVarint(ArrayBufferWriter<byte> writer, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            writer.Write([(byte)(value | 0x80)]);
        }

        writer.Write([(byte)value]);
    }

    // The format rotates and shifts its sums, since a sum over data that holds sums of itself is weak.
    private static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return BitOperations.RotateRight(~crc, 15) + 0xA282EAD8;
    }

    private void Write(double time, long step, byte key, ReadOnlySpan<byte> content)
    {
        var message = new ArrayBufferWriter<byte>();
        message.Write([WallTime]);
        BinaryPrimitives.WriteDoubleLittleEndian(message.GetSpan(8), time);
        message.Advance(8);
        message.Write([Step]);
        PutVarint(message, (ulong)step);
        PutBytes(message, key, content);

        var data = message.WrittenSpan;
        var record = new byte[8 + 4 + data.Length + 4];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedCrc(record.AsSpan(0, 8)));
        data.CopyTo(record.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + data.Length), MaskedCrc(data));
        _stream.Write(record);
    }
}
