using System.Runtime.InteropServices;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Native;

public sealed class NativeOutputTests
{
    [Fact]
    public void The_shim_of_the_output_loads_and_trains()
    {
        LibTorch.EnsureLoaded();
        Assert.True(NativeLibrary.TryLoad(LibTorch.FindShim()!, out _));
        using Tensor x = arange(3, dtype: ScalarType.Float32).requires_grad_();
        using Tensor loss = (x * x).sum();
        loss.backward();
        Assert.Equal([0f, 2f, 4f], x.grad!.data<float>().ToArray());
    }

    [Fact]
    public void Native_errors_become_exceptions()
    {
        LibTorch.EnsureLoaded();

        // Not matmul: the shim's function for it has no handler, so that a wrong shape there ends the process (TorchSharp 0.107.0).
        using Tensor a = ones(2, 3);
        Assert.Throws<ExternalException>(() => a.reshape(4));
    }

    [Fact]
    public void Native_files_of_the_output_are_links()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "symbolic links are made on Linux and macOS; this test knows Linux");
        FileInfo[] files = new DirectoryInfo(Path.GetDirectoryName(LibTorch.FindShim())!).GetFiles();
        Assert.Contains(files, file => file.Name == "libtorch_cpu.so");
        Assert.All(files, file => Assert.True(File.Exists(file.ResolveLinkTarget(true)?.FullName), $"{file} is a copy or leads nowhere"));
    }

    [Fact]
    public void No_native_files_of_other_platforms_and_of_python()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the folder names are those of Linux");
        string runtimes = Path.Combine(AppContext.BaseDirectory, "runtimes");
        Assert.All(Directory.GetDirectories(runtimes), folder => Assert.StartsWith("linux", Path.GetFileName(folder)));
        Assert.Empty(Directory.GetFiles(runtimes, "*torch_python*", SearchOption.AllDirectories));
    }

    [Fact]
    public void The_package_cache_keeps_the_original_shim()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the shim is patched on Linux only");
        FileSystemInfo? libtorch = new FileInfo(Path.Combine(Path.GetDirectoryName(LibTorch.FindShim())!, "libtorch.so")).ResolveLinkTarget(true);
        string packages = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(libtorch!.FullName)!, "../../../../.."));
        string cached = Assert.Single(Directory.GetFiles(Path.Combine(packages, "torchsharp", "0.107.0"), LibTorch.ShimName, SearchOption.AllDirectories));
        Assert.DoesNotContain(ElfVersionNeeds.Read(cached).Needs, need => need.IsWeak);
    }
}
