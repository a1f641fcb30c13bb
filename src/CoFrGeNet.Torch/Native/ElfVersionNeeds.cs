// One file on purpose: MSBuild's inline tasks compile exactly one source file, against netstandard2.0. The build (build/TorchNative.targets)
// and this library must judge a native file by the same code, so the build's task stands at the end, outside the library.
#nullable enable
#pragma warning disable IDE0005 // the library has these usings implicitly, the task has not
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Section = (uint Type, long Start, long Size, int Link);
#pragma warning restore IDE0005

namespace CoFrGeNet.Torch.Native;

/// <summary>The bytes are not a 64-bit little-endian ELF file, or are cut short or damaged.</summary>
internal sealed class ElfFormatException(string message) : Exception(message);

/// <summary>One entry of .gnu.version_r: a symbol version that the file wants from a library.</summary>
internal sealed class ElfVersionNeed(string library, string version, int index, long flagsOffset, bool isWeak)
{
    public string Library { get; } = library;

    public string Version { get; } = version;

    /// <summary>The number by which .gnu.version ties symbols to this entry.</summary>
    public int Index { get; } = index;

    /// <summary>Where vna_flags stands in the file.</summary>
    public long FlagsOffset { get; } = flagsOffset;

    /// <summary>Whether the loader lets a missing version pass (VER_FLG_WEAK).</summary>
    public bool IsWeak { get; } = isWeak;

    /// <summary>The symbols that carry this version.</summary>
    public List<string> Symbols { get; } = new();

    /// <summary>Those of them that a relocation refers to: the loader would look them up.</summary>
    public List<string> RelocatedSymbols { get; } = new();
}

/// <summary>What a shared library asks of, and offers to, others by symbol version. Every read is checked against the file's length.</summary>
internal sealed class ElfVersionNeeds
{
    private const int WeakFlag = 2;
    private const uint RelaType = 4, RelType = 9, DynsymType = 11, VerdefType = 0x6ffffffd, VerneedType = 0x6ffffffe, VersymType = 0x6fffffff;
    private readonly byte[] _image;
    private readonly string _name;
    private readonly List<Section> _sections = new();
    private readonly List<ElfVersionNeed> _needs = new();
    private readonly List<string> _defined = new();

    private ElfVersionNeeds(byte[] image, string name)
    {
        _image = image;
        _name = name;
    }

    /// <summary>The processor that the file is for (e_machine).</summary>
    public int Machine { get; private set; }

    public IReadOnlyList<ElfVersionNeed> Needs => _needs;

    /// <summary>The symbol versions that the file itself defines.</summary>
    public IReadOnlyList<string> Defined => _defined;

    /// <summary>Reads a file.</summary>
    public static ElfVersionNeeds Read(string path) => Parse(File.ReadAllBytes(path), path);

    /// <summary>Reads the bytes of a file; <paramref name="name"/> is for messages.</summary>
    /// <exception cref="ElfFormatException">The bytes are not such a file, or are damaged.</exception>
    public static ElfVersionNeeds Parse(byte[] image, string name)
    {
        var elf = new ElfVersionNeeds(image, name);
        elf.ReadSections();
        foreach (var section in elf._sections)
        {
            if (section.Type == VerneedType)
            {
                elf.ReadNeeds(section);
            }
            else if (section.Type == VerdefType)
            {
                elf.ReadDefinitions(section);
            }
        }

        elf.ReadUses();
        return elf;
    }

    /// <summary>A copy of the file in which the loader lets the absence of a version pass; equal bytes if it already does.</summary>
    /// <exception cref="InvalidOperationException">The file never asks for the version, or a relocation needs one of its symbols.</exception>
    public byte[] WithWeak(string version)
    {
        ElfVersionNeed entry = _needs.FirstOrDefault(need => need.Version == version)
            ?? throw new InvalidOperationException($"{_name} asks nobody for symbol version {version}");
        if (entry.RelocatedSymbols.Count > 0)
        {
            throw new InvalidOperationException(
                $"{_name} really uses {entry.RelocatedSymbols[0]} of {entry.Library} {version}: a library that offers it must be installed");
        }

        byte[] copy = (byte[])_image.Clone();
        copy[entry.FlagsOffset] |= WeakFlag;
        return copy;
    }

    private void ReadSections()
    {
        if (_image.Length < 64 || _image[0] != 0x7f || _image[1] != 'E' || _image[2] != 'L' || _image[3] != 'F')
        {
            throw new ElfFormatException($"{_name} is not an ELF file");
        }

        if (_image[4] != 2 || _image[5] != 1)
        {
            throw new ElfFormatException($"{_name} is not a 64-bit little-endian ELF file");
        }

        Machine = U16(18);
        long table = Offset(40);
        int size = U16(58), count = U16(60);
        if ((count > 0 && size != 64) || table + (count * 64L) > _image.Length)
        {
            throw Damaged($"a table of {count} section headers of {size} bytes", table);
        }

        for (int i = 0; i < count; i++)
        {
            long header = table + (i * 64L);
            Section section =
                (U32(header + 4), Offset(header + 24), Offset(header + 32), (int)Math.Min(U32(header + 40), int.MaxValue));
            bool isRead = section.Type is RelaType or RelType or DynsymType or VerdefType or VerneedType or VersymType;
            if (isRead && section.Start + section.Size > _image.Length)
            {
                throw Damaged($"section {i}", section.Start);
            }

            _sections.Add(section);
        }
    }

    // vn_next and vna_next are unsigned steps forward, so the walk ends at the end of the section at the latest.
    private void ReadNeeds(Section section)
    {
        var strings = Linked(section.Link);
        long end = section.Start + section.Size;
        for (long need = section.Start; need < end;)
        {
            string library = Text(strings, U32(need + 4));
            long entry = need + U32(need + 8);
            for (int left = U16(need + 2); left > 0; left--)
            {
                if (entry + 16 > end)
                {
                    throw Damaged("an entry of .gnu.version_r", entry);
                }

                _needs.Add(new ElfVersionNeed(library, Text(strings, U32(entry + 8)), U16(entry + 6), entry + 4, (U16(entry + 4) & WeakFlag) != 0));
                entry += U32(entry + 12);
            }

            uint next = U32(need + 12);
            need = next == 0 ? end : need + next;
        }
    }

    private void ReadDefinitions(Section section)
    {
        var strings = Linked(section.Link);
        long end = section.Start + section.Size;
        for (long definition = section.Start; definition < end;)
        {
            _defined.Add(Text(strings, U32(definition + U32(definition + 12))));
            uint next = U32(definition + 16);
            definition = next == 0 ? end : definition + next;
        }
    }

    private void ReadUses()
    {
        int table = _sections.FindIndex(section => section.Type == DynsymType);
        int versions = _sections.FindIndex(section => section.Type == VersymType);
        if (_needs.Count == 0 || table < 0 || versions < 0)
        {
            return;
        }

        var symbols = _sections[table];
        var strings = Linked(symbols.Link);
        long count = symbols.Size / 24;
        var users = new Dictionary<long, ElfVersionNeed>();
        for (long i = 0; i < count; i++)
        {
            int index = U16(_sections[versions].Start + (i * 2)) & 0x7fff;
            bool isUndefined = U16(symbols.Start + (i * 24) + 6) == 0;
            if (isUndefined && index > 1 && _needs.Find(need => need.Index == index) is { } entry)
            {
                users[i] = entry;
                entry.Symbols.Add(Text(strings, U32(symbols.Start + (i * 24))));
            }
        }

        foreach (var section in _sections.Where(section => section.Type is RelaType or RelType && section.Link == table))
        {
            int stride = section.Type == RelaType ? 24 : 16;
            for (long at = section.Start; at + stride <= section.Start + section.Size; at += stride)
            {
                long symbol = U32(at + 12);
                if (users.TryGetValue(symbol, out ElfVersionNeed? entry))
                {
                    entry.RelocatedSymbols.Add(Text(strings, U32(symbols.Start + (symbol * 24))));
                }
            }
        }
    }

    private Section Linked(int section) =>
        section < _sections.Count ? _sections[section] : throw Damaged($"string table {section}", _image.Length);

    private string Text(Section strings, uint at)
    {
        long start = strings.Start + at, end = Math.Min(strings.Start + strings.Size, _image.Length);
        int stop = start < end ? Array.IndexOf(_image, (byte)0, (int)start, (int)(end - start)) : -1;
        return stop < 0 ? throw Damaged("a name", start) : Encoding.ASCII.GetString(_image, (int)start, stop - (int)start);
    }

    private int U16(long at) => _image[Checked(at, 2)] | (_image[at + 1] << 8);

    private uint U32(long at) => BitConverter.ToUInt32(_image, Checked(at, 4));

    // Half of the range, so that the sum of two offsets cannot overflow.
    private long Offset(long at)
    {
        ulong value = BitConverter.ToUInt64(_image, Checked(at, 8));
        return value <= long.MaxValue / 4 ? (long)value : throw Damaged("a 64-bit offset", at);
    }

    private int Checked(long at, int size) => at >= 0 && at <= _image.Length - size ? (int)at : throw Damaged("a field", at);

    private ElfFormatException Damaged(string what, long at) =>
        new($"{_name} is cut short or damaged: {what} at offset {at} lies outside its {_image.Length} bytes");
}

/// <summary>Which libstdc++ the loader may take here, and what a shim lacks with it.</summary>
internal static class ShimNeeds
{
    public const string StandardLibrary = "libstdc++.so.6";
    private static readonly string[] DefaultFolders =
        "/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib/aarch64-linux-gnu /usr/lib/aarch64-linux-gnu /lib64 /usr/lib64 /lib /usr/lib".Split(' ');

    /// <summary>Every libstdc++ for this processor that the loader may take: all of LD_LIBRARY_PATH, then the system's first.</summary>
    public static IReadOnlyList<ElfVersionNeeds> FindStandardLibraries(int machine, Action<string>? found = null)
    {
        var libraries = new List<ElfVersionNeeds>();
        foreach (string folder in (Environment.GetEnvironmentVariable("LD_LIBRARY_PATH") ?? "").Split(':').Where(folder => folder.Length > 0))
        {
            Add(folder);
        }

        int own = libraries.Count;
        foreach (string folder in ConfiguredFolders("/etc/ld.so.conf", depth: 0).Concat(DefaultFolders))
        {
            if (libraries.Count == own)
            {
                Add(folder);
            }
        }

        return libraries;

        void Add(string folder)
        {
            string path = Path.Combine(folder, StandardLibrary);
            try
            {
                if (File.Exists(path) && ElfVersionNeeds.Read(path) is { } library && library.Machine == machine)
                {
                    libraries.Add(library);
                    found?.Invoke(path);
                }
            }
            catch (Exception error) when (error is ElfFormatException or IOException or UnauthorizedAccessException)
            {
                // Not one that the loader could take either; the next folder counts.
            }
        }
    }

    /// <summary>The versions of libstdc++ that the shim asks for, not weakly, and that some of the libraries does not offer (all, if there is none).</summary>
    public static IReadOnlyList<ElfVersionNeed> Missing(ElfVersionNeeds shim, IReadOnlyList<ElfVersionNeeds> libraries) =>
        shim.Needs.Where(need => need.Library == StandardLibrary && !need.IsWeak
            && (libraries.Count == 0 || libraries.Any(library => !library.Defined.Contains(need.Version)))).ToList();

    private static IEnumerable<string> ConfiguredFolders(string file, int depth)
    {
        foreach (string line in File.Exists(file) && depth < 4 ? File.ReadAllLines(file) : Array.Empty<string>())
        {
            string entry = line.Split('#')[0].Trim();
            if (entry.StartsWith("include ", StringComparison.Ordinal))
            {
                string pattern = Path.Combine(Path.GetDirectoryName(file)!, entry.Substring(8).Trim());
                string folder = Path.GetDirectoryName(pattern)!;
                string[] files = Directory.Exists(folder) ? Directory.GetFiles(folder, Path.GetFileName(pattern)) : Array.Empty<string>();
                foreach (string inner in files.OrderBy(name => name, StringComparer.Ordinal).SelectMany(name => ConfiguredFolders(name, depth + 1)))
                {
                    yield return inner;
                }
            }
            else if (entry.Length > 0 && entry[0] == '/')
            {
                yield return entry;
            }
        }
    }
}

#if !COFRGENET_TORCH
/// <summary>Writes a shim that loads on this system to a shared folder and its path, or the original's, to the project's state file.</summary>
public sealed class PatchTorchShim : Microsoft.Build.Utilities.Task
{
    [Microsoft.Build.Framework.Required]
    public string Shim { get; set; } = "";

    [Microsoft.Build.Framework.Required]
    public string OutputFolder { get; set; } = "";

    [Microsoft.Build.Framework.Required]
    public string StateFile { get; set; } = "";

    /// <summary>auto: only where this system's libstdc++ lacks something; always: for whatever system the output goes to.</summary>
    public string Mode { get; set; } = "auto";

    public override bool Execute()
    {
        string result = Shim;
        try
        {
            result = Patch() ?? Shim;
        }
        catch (Exception error) when (error is ElfFormatException or InvalidOperationException)
        {
            Log.LogWarning(null, "COFRGENET001", null, null, 0, 0, 0, 0, "TorchSharp's native library is left as it is: {0}", error.Message);
        }

        Write(StateFile, Encoding.UTF8.GetBytes(result));
        return !Log.HasLoggedErrors;
    }

    private string? Patch()
    {
        byte[] image = File.ReadAllBytes(Shim);
        ElfVersionNeeds shim = ElfVersionNeeds.Parse(image, Shim);
        IReadOnlyList<ElfVersionNeeds> libraries =
            Mode == "always" ? Array.Empty<ElfVersionNeeds>() : ShimNeeds.FindStandardLibraries(shim.Machine);
        List<ElfVersionNeed> missing = ShimNeeds.Missing(shim, libraries).ToList();
        if (libraries.Count == 0)
        {
            // Nothing to compare with: what no relocation uses can be let go anywhere, the rest is for the target system to have.
            missing.RemoveAll(need => need.RelocatedSymbols.Count > 0);
        }

        if (missing.Count == 0)
        {
            return null;
        }

        byte[] patched = missing.Aggregate(image, (bytes, need) => ElfVersionNeeds.Parse(bytes, Shim).WithWeak(need.Version));
        using var sha = System.Security.Cryptography.SHA256.Create();
        string hash = string.Concat(sha.ComputeHash(patched).Take(8).Select(part => part.ToString("x2")));
        string target = Path.GetFullPath(Path.Combine(OutputFolder, hash, Path.GetFileName(Shim)));
        if (!File.Exists(target) || !File.ReadAllBytes(target).SequenceEqual(patched))
        {
            Write(target, patched);
        }

        return target;
    }

    // Written aside and renamed: projects build in parallel, and none may see half a file.
    private static void Write(string path, byte[] content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string aside = path + "." + Guid.NewGuid().ToString("N");
        File.WriteAllBytes(aside, content);
        try
        {
            File.Delete(path);
            File.Move(aside, path);
        }
        catch (IOException) when (File.Exists(path))
        {
            // Another project was first, with the same bytes.
            File.Delete(aside);
        }
    }
}
#endif
