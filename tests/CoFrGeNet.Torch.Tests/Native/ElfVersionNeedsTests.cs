using System.Buffers.Binary;
using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Torch.Tests.Native;

/// <summary>On byte-mutated copies of the real shim; the output's own copy is undone first, so that it holds on patched and unpatched systems.</summary>
public sealed class ElfVersionNeedsTests
{
    private const string Newest = "GLIBCXX_3.4.32";
    private static readonly Lazy<byte[]> Original = new(ReadOriginal);

    [Fact]
    public void Weak_bit_is_the_only_difference()
    {
        byte[] original = Shim();
        byte[] patched = Parse(original).WithWeak(Newest);

        Assert.Equal(original.Length, patched.Length);
        int[] changed = [.. Enumerable.Range(0, original.Length).Where(i => original[i] != patched[i])];
        Assert.Equal(2, patched[Assert.Single(changed)] - original[changed[0]]);
        ElfVersionNeed weak = Assert.Single(Parse(patched).Needs, need => need.IsWeak);
        Assert.Equal(Newest, weak.Version);
        Assert.Equal("libstdc++.so.6", weak.Library);
        Assert.Equal(["_ZSt21ios_base_library_initv"], weak.Symbols);
        Assert.Empty(weak.RelocatedSymbols);
    }

    [Fact]
    public void Patching_twice_changes_nothing_more()
    {
        byte[] once = Parse(Shim()).WithWeak(Newest);
        Assert.Equal(once, Parse(once).WithWeak(Newest));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Refuses_when_a_relocation_uses_the_symbol(int table)
    {
        byte[] image = Shim();
        (long start, _) = Sections(image).Where(section => section.Type == 4).Select(section => (section.Start, section.Size)).ElementAt(table);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan((int)start + 12), (uint)SymbolIndexOfNewest(image));

        var error = Assert.Throws<InvalidOperationException>(() => Parse(image).WithWeak(Newest));
        Assert.Contains("_ZSt21ios_base_library_initv", error.Message);
        Assert.Contains(Newest, error.Message);
    }

    [Fact]
    public void Refuses_versions_in_use_and_unknown_ones()
    {
        ElfVersionNeeds shim = Parse(Shim());
        Assert.Throws<InvalidOperationException>(() => shim.WithWeak("GLIBCXX_3.4.21"));
        Assert.Throws<InvalidOperationException>(() => shim.WithWeak("GLIBCXX_9.9.9"));
    }

    [Fact]
    public void Exactly_one_version_of_the_shim_can_be_let_go()
    {
        // What TorchNativePatch=always does: every other version is really used.
        string[] free = [.. Parse(Shim()).Needs.Where(need => need.Library == "libstdc++.so.6" && need.RelocatedSymbols.Count == 0)
            .Select(need => need.Version)];
        Assert.Equal([Newest], free);
    }

    [Fact]
    public void A_file_cut_short_anywhere_is_a_typed_error()
    {
        byte[] image = Shim();
        int[] lengths = [.. Enumerable.Range(0, 300), .. Enumerable.Range(1, 60).Select(i => (int)((long)image.Length * i / 61)), image.Length - 1];
        Assert.All(lengths, length => Assert.Throws<ElfFormatException>(() => Parse(image[..length])));
    }

    [Fact]
    public void Random_damage_is_read_or_refused_but_never_anything_else()
    {
        byte[] original = Shim();
        (uint Type, long Start, long Size)[] sections = [.. Sections(original).Where(section => section.Type is 11 or 0x6ffffffe or 0x6fffffff)];
        int headers = (int)BinaryPrimitives.ReadInt64LittleEndian(original.AsSpan(40));
        var random = new Random(7);
        int refused = 0;
        for (int round = 0; round < 150; round++)
        {
            byte[] image = (byte[])original.Clone();
            for (int i = 0; i < 6; i++)
            {
                (_, long start, long size) = sections[random.Next(sections.Length)];
                image[start + random.NextInt64(Math.Min(size, 528))] = (byte)random.Next(256);
                image[headers + random.Next(original.Length - headers)] = (byte)random.Next(256);
            }

            refused += Record.Exception(() => Parse(image)) switch
            {
                null => 0,
                ElfFormatException => 1,
                Exception error => throw new InvalidOperationException($"round {round}", error),
            };
        }

        Assert.InRange(refused, 1, 150);
    }

    [Theory]
    [InlineData("")]
    [InlineData("MZ this is for another system and long enough to hold a header of sixty-four bytes, as one sees")]
    public void Foreign_files_are_named(string content)
    {
        var error = Assert.Throws<ElfFormatException>(() => ElfVersionNeeds.Parse(System.Text.Encoding.ASCII.GetBytes(content), "x.dll"));
        Assert.Equal("x.dll is not an ELF file", error.Message);
    }

    [Theory]
    [InlineData(4, 1)]
    [InlineData(5, 2)]
    public void Other_kinds_of_elf_are_refused(int offset, byte value)
    {
        byte[] image = Shim();
        image[offset] = value;
        Assert.Contains("64-bit little-endian", Assert.Throws<ElfFormatException>(() => Parse(image)).Message);
    }

    [Fact]
    public void What_is_missing_depends_on_every_library_that_the_loader_may_take()
    {
        ElfVersionNeeds shim = Parse(Shim());
        IReadOnlyList<ElfVersionNeeds> here = ShimNeeds.FindStandardLibraries(shim.Machine);
        Assert.NotEmpty(here);
        Assert.All(here, library => Assert.Contains("GLIBCXX_3.4.30", library.Defined));

        // The shim itself offers none of libstdc++'s versions: taken as a second library, everything is missing.
        Assert.Equal(20, ShimNeeds.Missing(shim, [.. here, shim]).Count);
        bool isOffered = here.All(library => library.Defined.Contains(Newest));
        Assert.Equal(isOffered ? [] : [Newest], ShimNeeds.Missing(shim, here).Select(need => need.Version));
    }

    private static ElfVersionNeeds Parse(byte[] image) => ElfVersionNeeds.Parse(image, "shim");

    private static byte[] Shim()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the shim is an ELF file on Linux only");
        return (byte[])Original.Value.Clone();
    }

    private static byte[] ReadOriginal()
    {
        byte[] image = File.ReadAllBytes(LibTorch.FindShim()!);
        foreach (ElfVersionNeed need in Parse(image).Needs)
        {
            image[need.FlagsOffset] = 0;
        }

        return image;
    }

    private static IEnumerable<(uint Type, long Start, long Size)> Sections(byte[] image)
    {
        int table = (int)BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan(40));
        for (int i = 0; i < BinaryPrimitives.ReadUInt16LittleEndian(image.AsSpan(60)); i++)
        {
            int at = table + (i * 64);
            yield return (BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(at + 4)),
                BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan(at + 24)), BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan(at + 32)));
        }
    }

    private static int SymbolIndexOfNewest(byte[] image)
    {
        int index = Parse(image).Needs.Single(need => need.Version == Newest).Index;
        (_, long start, long size) = Sections(image).Single(section => section.Type == 0x6fffffff);
        return Enumerable.Range(0, (int)size / 2).Single(i => BinaryPrimitives.ReadUInt16LittleEndian(image.AsSpan((int)start + (i * 2))) == index);
    }
}
