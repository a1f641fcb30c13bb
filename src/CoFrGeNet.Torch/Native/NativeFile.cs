using System.Buffers.Binary;

namespace CoFrGeNet.Torch.Native;

/// <summary>Whether native files are whole. The loader maps what the headers promise, and a file cut short then ends the process (SIGBUS).</summary>
internal static class NativeFile
{
    private const int HeaderLength = 64;

    /// <summary>Checks every library of a folder by its header alone, so that half a gigabyte costs nothing.</summary>
    /// <exception cref="ElfFormatException">A file is not a library or ends before its section table does.</exception>
    public static void RequireWhole(string folder)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        Span<byte> header = stackalloc byte[HeaderLength];
        foreach (string path in Directory.EnumerateFiles(folder, "lib*.so*"))
        {
            using FileStream file = File.OpenRead(path);
            if (file.ReadAtLeast(header, HeaderLength, throwOnEndOfStream: false) < HeaderLength || !header.StartsWith("\u007fELF"u8))
            {
                throw new ElfFormatException($"{path} is not an ELF file");
            }

            long table = BinaryPrimitives.ReadInt64LittleEndian(header[40..]);
            long end = table + (BinaryPrimitives.ReadUInt16LittleEndian(header[58..]) * (long)BinaryPrimitives.ReadUInt16LittleEndian(header[60..]));
            if (table < 0 || end > file.Length)
            {
                throw new ElfFormatException($"{path} is cut short: {file.Length} bytes of {end}");
            }
        }
    }
}
