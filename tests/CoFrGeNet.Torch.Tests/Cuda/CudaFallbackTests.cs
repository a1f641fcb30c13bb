using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Tests.ContinuedFractions;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>Whatever fails on the way to a kernel's result, tensor operations give it, and one warning says why.</summary>
public sealed class CudaFallbackTests : IDisposable
{
    public void Dispose() => LadderFunction.Backend = LadderBackend.Fused;

    [Fact]
    public void Without_the_libraries_the_reason_is_said_once()
    {
        var error = Assert.Throws<CudaException>(() => CudaLibraries.Load("NVIDIA's driver", ["libno-such-cuda.so.1", "/nowhere/libno-such-cuda.so"]));
        Assert.Contains("NVIDIA's driver is not on this machine", error.Message);
        Assert.Contains("libno-such-cuda.so.1", error.Message);

        using var device = new EmulatedDevice(new CudaLadders(new Lazy<CudaToolkit>(() => throw error), _ => 0));
        RequireComposed();
        Assert.Contains(error.Message, Assert.Single(device.Warnings));
        Assert.Equal(0, device.Cuda.Launches);
    }

    [Theory]
    [InlineData("cuInit", 100, "cuInit failed: CUDA_ERROR_NO_DEVICE (100)")]
    [InlineData("nvrtcVersion", 1, "nvrtcVersion failed: NVRTC_ERROR_OTHER")]
    [InlineData("cuDevicePrimaryCtxRetain", 2, "cuDevicePrimaryCtxRetain failed")]
    [InlineData("cuDeviceGetAttribute", 1, "cuDeviceGetAttribute failed")]
    [InlineData("nvrtcCreateProgram", 1, "nvrtcCreateProgram failed")]
    [InlineData("nvrtcCompileProgram", 7, "projected.cu does not compile for compute capability 9.0, NVRTC_ERROR_OTHER: no log")]
    [InlineData("nvrtcGetCUBINSize", 3, "reading the compiled kernels' size failed")]
    [InlineData("cuModuleLoadData", 222, "cuModuleLoadData failed: CUDA_ERROR_OTHER (222)")]
    [InlineData("cuModuleGetFunction", 500, "cuModuleGetFunction(projected_forward) failed")]
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701)")]
    public void A_function_of_nvidia_that_fails_is_named(string call, int code, string reason)
    {
        using var device = new EmulatedDevice(Fresh());
        device.Cuda.Fail(call, code);
        RequireComposed();
        Assert.Contains(device.Warnings, warning => warning.Contains(reason, StringComparison.Ordinal));
        Assert.Equal(0, device.Cuda.Launches);
        Assert.Equal(0, device.Cuda.Contexts);
    }

    [Fact]
    public void A_compiler_that_stumbles_is_quoted()
    {
        using var device = new EmulatedDevice(Fresh());
        device.Cuda.Replace("float current = first_continuant", "float current = second_continuant");
        RequireComposed();
        string warning = device.Warnings[0];
        Assert.Contains("projected.cu does not compile for compute capability 9.0, NVRTC_ERROR_COMPILATION: ", warning);

        // The line of the file, not of the joined text.
        Assert.Matches(@"ladder\.cu:\d\d:.*second_continuant", warning);
        Assert.DoesNotContain('\n', warning);
    }

    [Theory]
    [InlineData("fmaf(x[k], current, previous)", "fmaf(x[k], current, -previous)", "values")]
    [InlineData("derivatives[k - 1] = derivative;", "derivatives[k - 1] = -derivative;", "gradients")]
    [InlineData("return current", "return 1.0001f * current", null)]
    [InlineData("if (value > *(volatile float*)cell)", "if (value < *(volatile float*)cell)", "upper ends")]
    [InlineData("poles.guarded +=", "poles.guarded -=", "counts")]
    public void Kernels_that_compute_wrong_are_not_used(string text, string other, string? what)
    {
        using var device = new EmulatedDevice(Fresh());
        device.Cuda.Replace(text, other);
        RequireComposed(elementwise: false);
        if (what is null)
        {
            Assert.Empty(device.Warnings);
            Assert.NotEqual(0, device.Cuda.Launches);
        }
        else
        {
            Assert.Contains($"the compiled kernels compute wrong {what}", Assert.Single(device.Warnings));
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData(1.0)]
    public void A_launch_that_fails_between_forward_and_backward_costs_nothing_but_time(double? bias)
    {
        using var device = new EmulatedDevice(Fresh());
        using var scope = NewDisposeScope();
        foreach (LadderKind kind in new[] { LadderKind.Projected, LadderKind.Elementwise })
        {
            device.Cuda.Fail("", 0);
            Dictionary<string, Tensor> plain = Train(kind, bias);
            int launches = device.Cuda.Launches;
            Assert.Empty(device.Warnings);
            Dictionary<string, Tensor> failed = Train(kind, bias, () => device.Cuda.Fail("cuLaunchKernel", 701));
            Assert.NotEqual(launches, device.Cuda.Launches);
            launches = device.Cuda.Launches;

            // Not tried again.
            device.Cuda.Fail("", 0);
            Dictionary<string, Tensor> after = Train(kind, bias);
            Assert.Equal(launches, device.Cuda.Launches);
            Assert.Equal(plain.Keys, failed.Keys);
            foreach (string key in plain.Keys)
            {
                // Float32 by two ways, with the smooth guard; the sums of the weights' gradients run over 36 rows.
                Assert.True(LadderSamples.Deviation(failed[key], plain[key], 1e-2) < 1e-3, key);
                Assert.True(LadderSamples.Deviation(after[key], plain[key], 1e-2) < 1e-3, key);
            }


            // The second is that of projected ladders, which elementwise ones without a kernel are composed of.
            Assert.InRange(device.Warnings.Count, 1, kind == LadderKind.Elementwise ? 2 : 1);
            Assert.All(device.Warnings, warning => Assert.Contains("cuLaunchKernel failed: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701)", warning));
            CudaLadders.Emulation = Fresh();
            device.Forget();
        }
    }

    [Fact]
    public void Composed_ladders_ask_for_no_kernel()
    {
        using var device = new EmulatedDevice(Fresh());
        LadderFunction.Backend = LadderBackend.Composed;
        using Tensor a = rand(3, 2, 5);
        Assert.Null(CudaLadders.For(a));
        LadderFunction.Apply(a, PoleGuard.Default).Dispose();
        Assert.Equal(0, device.Cuda.Launches);
    }

    private static CudaLadders Fresh() => new(EmulatedCuda.Current.NewToolkit(), _ => 0);

    // f and the gradient are those of composed ladders, twice, so that a reason would be said twice too.
    private static void RequireComposed(bool elementwise = true)
    {
        using var scope = NewDisposeScope();
        Tensor a = LadderSamples.Random(9, 3, 11, seed: 1).to_type(ScalarType.Float32);
        for (int i = 0; i < 2; i++)
        {
            Tensor f = LadderFunction.Apply(a, PoleGuard.Default), gradient = LadderSamples.Gradient(a, ones(11), x => LadderFunction.Apply(x, PoleGuard.Default));
            LadderFunction.Backend = LadderBackend.Composed;
            Tensor expected = LadderFunction.Apply(a, PoleGuard.Default), expectedGradient = LadderSamples.Gradient(a, ones(11), x => LadderFunction.Apply(x, PoleGuard.Default));
            LadderFunction.Backend = LadderBackend.Fused;
            Assert.True(LadderSamples.Deviation(f, expected, 1e-2) < 1e-3);
            Assert.True(LadderSamples.Deviation(gradient, expectedGradient, 1e-2) < 1e-3);
            if (elementwise)
            {
                Train(LadderKind.Elementwise, null);
            }
        }
    }

    private static Dictionary<string, Tensor> Train(LadderKind kind, double? bias, Action? between = null) => LadderSamples.Step(
        new CffnConfig { Ladders = new() { Count = 3, Depth = 4, Kind = kind, Bias = bias, WeightStd = 0.5, OutputStd = 0.5 } }, CPU, between);
}
