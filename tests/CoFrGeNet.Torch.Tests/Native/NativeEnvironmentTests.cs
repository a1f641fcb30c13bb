using System.Text;
using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Torch.Tests.Native;

public sealed class NativeEnvironmentTests
{
    [Fact]
    public void Every_check_passes_where_the_tests_run()
    {
        IReadOnlyList<NativeCheck> checks = NativeEnvironment.Check();
        Assert.DoesNotContain(checks, check => check.Status == NativeCheckStatus.Failed);
        Assert.All(checks, check => Assert.Equal(check.Status == NativeCheckStatus.Ok, check.Fix is null));
        Assert.Equal(checks.Count, checks.Select(check => check.Name).Distinct().Count());
        Assert.Contains(checks, check => check.Name == "libtorch" && check.Found.Contains("bfloat16", StringComparison.Ordinal));
    }

    [Fact]
    public void A_version_that_no_library_offers_is_named_exactly()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "symbol versions exist on Linux only");
        using var file = new ShimWithVersion("GLIBCXX_3.4.99");

        NativeCheck check = NativeEnvironment.CheckShim(file.Path);
        Assert.Equal(NativeCheckStatus.Failed, check.Status);
        Assert.Contains("GLIBCXX_3.4.99, but ", check.Found);
        Assert.NotNull(check.Fix);

        var error = Assert.Throws<UserErrorException>(() => LibTorch.Load(file.Path));
        Assert.Contains("GLIBCXX_3.4.99, but ", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void A_missing_shim_is_said_to_be_missing()
    {
        Assert.Equal(NativeCheckStatus.Failed, NativeEnvironment.CheckShim(null).Status);
        Assert.Contains("libtorch-cpu-linux-x64", LibTorch.Explain(null, new DllNotFoundException("x")));
    }

    [Theory]
    [InlineData(100_000, "is cut short: 100000 bytes of ")]
    [InlineData(10, "is not an ELF file")]
    public void A_damaged_shim_is_said_to_be_damaged(int length, string expected)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the shim is an ELF file on Linux only");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("shim-");
        string path = Path.Combine(folder.FullName, LibTorch.ShimName);
        File.WriteAllBytes(path, File.ReadAllBytes(LibTorch.FindShim()!)[..length]);
        try
        {
            // Given to the loader, such a file ends the process.
            var error = Assert.Throws<UserErrorException>(() => LibTorch.Load(path));
            Assert.Contains(expected, error.Message);
            Assert.Contains(path, error.Message);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Highest_version_is_by_number_not_by_letter()
    {
        Assert.Equal("GLIBCXX_3.4.30", SystemLibrary.Highest(["GLIBCXX_3.4.9", "GLIBCXX_3.4.30", "GLIBCXX_DEBUG", "CXXABI_9.9"], "GLIBCXX_"));
        Assert.Null(SystemLibrary.Highest(["CXXABI_9.9"], "GLIBCXX_"));
    }

    [Fact]
    public void The_allocator_is_tuned_on_glibc_and_only_there()
    {
        bool isGlibc = OperatingSystem.IsLinux() && SystemLibrary.GlibcVersion is not null;
        Assert.Equal(isGlibc, AllocatorTuning.Apply());
        Assert.Equal(isGlibc, AllocatorTuning.Apply());
    }

    /// <summary>The shim with its newest version renamed, hash and all, and made binding.</summary>
    private sealed class ShimWithVersion : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("shim-");

        public ShimWithVersion(string version)
        {
            byte[] image = File.ReadAllBytes(LibTorch.FindShim()!);
            ElfVersionNeed newest = ElfVersionNeeds.Parse(image, "shim").Needs.Single(need => need.Version == "GLIBCXX_3.4.32");
            image[newest.FlagsOffset] = 0;
            uint hash = Encoding.ASCII.GetBytes(version).Aggregate(0u, (sum, letter) =>
            {
                sum = (sum << 4) + letter;
                uint high = sum & 0xf0000000;
                return (sum ^ (high >> 24)) & ~high;
            });
            BitConverter.TryWriteBytes(image.AsSpan((int)newest.FlagsOffset - 4), hash);
            for (int at; (at = image.AsSpan().IndexOf(Encoding.ASCII.GetBytes(newest.Version + "\0"))) >= 0;)
            {
                Encoding.ASCII.GetBytes(version).CopyTo(image, at);
            }

            File.WriteAllBytes(Path, image);
        }

        public string Path => System.IO.Path.Combine(_folder.FullName, LibTorch.ShimName);

        public void Dispose() => _folder.Delete(recursive: true);
    }
}
