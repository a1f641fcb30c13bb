using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Tests;
using CoFrGeNet.Torch.Cuda;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>What the compiler is asked for, how arguments are laid out, and what clang makes of the sources as CUDA.</summary>
public sealed unsafe class CudaBindingTests
{
    [Fact]
    public void A_device_that_the_compiler_knows_gets_machine_code_and_a_newer_one_ptx()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        Assert.Equal((9, 0), cuda.Toolkit.Driver.Capability(1));
        Assert.Equal(new Version(12, 8), cuda.Toolkit.Compiler.Version);
        var variant = new CudaVariant(1, 3, typeof(SmoothGuard), ElementType.BFloat16);
        _ = new CudaProjectedLadders(cuda.Toolkit.Driver, cuda.Toolkit.Compiler, variant);
        Assert.Equal("--gpu-architecture=sm_90 --fmad=false --prec-div=true --ftz=false -DDEPTH=3 -DGUARD=1 -DELEMENT=1 ", cuda.Options);
        cuda.Support(86);
        _ = new CudaProjectedLadders(cuda.Toolkit.Driver, cuda.Toolkit.Compiler, variant);
        Assert.StartsWith("--gpu-architecture=compute_86 ", cuda.Options);

        // All that it knows is newer: the driver may still take it.
        cuda.Support(100);
        _ = new CudaProjectedLadders(cuda.Toolkit.Driver, cuda.Toolkit.Compiler, variant);
        Assert.StartsWith("--gpu-architecture=compute_75 ", cuda.Options);
    }

    [Fact]
    public void A_missing_device_is_an_error()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        var error = Assert.Throws<CudaException>(() => cuda.Toolkit.Driver.Capability(5));
        Assert.Equal("cuDeviceGet(5) failed: CUDA_ERROR_OTHER (101)", error.Message);
    }

    [Fact]
    public void A_library_that_is_none_of_these_is_refused()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the C library has this name on Linux only");
        nint library = NativeLibrary.Load("libc.so.6");
        Assert.Equal("the driver has no function cuGetErrorName; it is older than CUDA 11", Assert.Throws<CudaException>(() => new CudaDriver(library)).Message);
        Assert.Contains("nvrtcGetErrorString", Assert.Throws<CudaException>(() => new NvrtcCompiler(library)).Message);
    }

    [Fact]
    public void Arguments_have_the_size_that_the_kernels_expect()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        foreach ((string source, string kernel, int size) in new[]
        {
            ("projected.cu", "projected_forward", sizeof(ProjectedArguments)), ("elementwise.cu", "elementwise_sum", sizeof(ElementwiseArguments)),
            ("adamw.cu", "adamw_update", sizeof(CudaAdamW.Updates)), ("adamw.cu", "gradient_squares", sizeof(CudaAdamW.Squared)),
            ("cross_entropy.cu", "cross_entropy_sums", sizeof(CudaCrossEntropy.Arguments)), ("gate.cu", "gate_forward", sizeof(CudaGate.Arguments)),
            ("univariate.cu", "univariate_forward", sizeof(CudaUnivariate.UnivariateArguments)), ("univariate.cu", "join_forward", sizeof(CudaUnivariate.JoinArguments)),
        })
        {
            (string, int)[] definitions = [("DEPTH", 2), ("GUARD", 0), ("ELEMENT", 0), ("WIDE", 0), ("INPUT", 0)];
            byte[] image = cuda.Toolkit.Compiler.Compile(Source(source), source, definitions, (9, 0));
            nint library = NativeLibrary.Load(Encoding.UTF8.GetString(image).TrimEnd('\0'));
            Assert.Equal(size, ((delegate* unmanaged<int>)NativeLibrary.GetExport(library, kernel + "_argument_size"))());
        }
    }

    [Fact]
    public void Copies_of_the_compiler_are_found_and_its_helper_is_left_out()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the file names are Linux's");
        using var folder = new TemporaryFolder();
        foreach (string name in new[] { "libnvrtc.so.12", "libnvrtc-672ee683.so.11.2", "libnvrtc-builtins.so.12.8", "libnvrtc.alt.so.12", "libcudart.so.12" })
        {
            folder.Write(name, "");
        }

        Assert.Equal(["libnvrtc.so.12", "libnvrtc-672ee683.so.11.2"], CudaLibraries.CompilersIn(folder.Root).Select(Path.GetFileName));
        Assert.Empty(CudaLibraries.CompilersIn(folder.File("none")));
    }

    // Another compiler with a front end for CUDA: what only looks like CUDA would not pass, and its code shows what is kept in registers.
    [Theory]
    [InlineData("projected.cu", 1)]
    [InlineData("projected.cu", 5)]
    [InlineData("projected.cu", 16)]
    [InlineData("elementwise.cu", 1)]
    [InlineData("elementwise.cu", 5)]
    [InlineData("elementwise.cu", 16)]
    [InlineData("adamw.cu", 1)]
    [InlineData("cross_entropy.cu", 1)]
    [InlineData("gate.cu", 1)]
    [InlineData("univariate.cu", 1)]
    [InlineData("univariate.cu", 4)]
    [InlineData("univariate.cu", 15)]
    public void Clang_compiles_the_sources_for_a_device(string source, int depth)
    {
        string? clang = new[] { "clang", "clang-14" }.FirstOrDefault(HasCudaTarget);
        Assert.SkipWhen(clang is null, "clang with a target for NVIDIA's devices is not on this machine; on Debian it is the package clang");
        using var folder = new TemporaryFolder();
        string input = folder.Write("kernels.cu", Source(source)), output = folder.File("kernels.ptx");
        string header = Path.Combine(AppContext.BaseDirectory, "Cuda", "Emulation", "device.h");
        foreach ((int guard, int element, int wide) in new[] { (0, 0, 0), (1, 1, 1), (2, 0, 1), (2, 1, 0) })
        {
            (int code, string log) = Run(
                clang!, "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-gpu-arch=sm_70", "-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra",
                "-Wno-unused-function", "-Wno-unused-parameter", "-Wno-unused-const-variable", $"-DDEPTH={depth}", $"-DGUARD={guard}", $"-DELEMENT={element}", $"-DWIDE={wide}", $"-DINPUT={wide}", "-include", header,
                "-S", input, "-o", output);
            Assert.True(code == 0 && log.Length == 0, log);
            string ptx = File.ReadAllText(output);
            Assert.Equal(source switch { "adamw.cu" or "projected.cu" or "gate.cu" => 2, "univariate.cu" => 4, _ => 3 }, ptx.Split(".visible .entry").Length - 1);
            Assert.Equal(source is not ("cross_entropy.cu" or "gate.cu"), ptx.Contains("div.rn.f32", StringComparison.Ordinal));
            Assert.Equal(source != "cross_entropy.cu", ptx.Contains("div.rn.f32", StringComparison.Ordinal) || ptx.Contains("rcp.rn.f32", StringComparison.Ordinal));
            Assert.DoesNotContain("approx", ptx);

            // Where the CPU has none, the device may have none either.
            Assert.Equal(source is not ("adamw.cu" or "cross_entropy.cu"), ptx.Contains("fma.rn.f32", StringComparison.Ordinal));

            // Levels and rows in registers: every loop over them is unrolled.
            Assert.DoesNotContain("st.local", ptx);
        }
    }

    // Kernels for ladders stand behind what they share.
    private static string Source(string file) => IsOfLadders(file) ? CudaModule.Source(CudaModule.Prelude, file) : CudaModule.Source(file);

    private static bool IsOfLadders(string file) => file is "projected.cu" or "elementwise.cu" or "univariate.cu";

    private static bool HasCudaTarget(string clang) => Run(clang, "--print-targets").Output.Contains("nvptx64", StringComparison.Ordinal);

    private static (int Code, string Output) Run(string program, params string[] arguments)
    {
        try
        {
            var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd() + errors.GetAwaiter().GetResult();
            process.WaitForExit();
            return (process.ExitCode, output);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return (-1, "");
        }
    }
}
