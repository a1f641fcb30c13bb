using CoFrGeNet.Torch.Tests.ContinuedFractions;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>The tests of the CPU's fused kernels, with the CUDA kernels in their place.</summary>
public sealed class EmulatedFusedLaddersTests : FusedLaddersTests
{
    private readonly EmulatedDevice _device = new();

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        _device.RequireKernels();
    }
}

/// <summary>The tests of ladders at their poles, with the CUDA kernels in place of the CPU's.</summary>
public sealed class EmulatedLadderPoleTests : LadderPoleTests, IDisposable
{
    private readonly EmulatedDevice _device = new();

    public void Dispose() => _device.RequireKernels();
}

/// <summary>The tests of pole statistics, with the CUDA kernels in place of the CPU's.</summary>
public sealed class EmulatedPoleStatisticsTests : PoleStatisticsTests, IDisposable
{
    private readonly EmulatedDevice _device = new();

    public void Dispose()
    {
        _device.Dispose();
        Assert.Empty(_device.Warnings);
    }
}
