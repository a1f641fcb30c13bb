using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>The cells on the device into which a forward pass notes its poles, and the range that it widens or clips to.</summary>
internal sealed unsafe class CudaWatch
{
    private readonly PoleStatistics? _statistics;
    private readonly Tensor? _guarded;
    private readonly Tensor? _minDenominator;
    private readonly Tensor? _maxOutput;

    /// <summary>Prepares the cells, in the caller's dispose scope.</summary>
    /// <param name="statistics">Who counts poles; null: nobody.</param>
    /// <param name="outputs">The range; null: none.</param>
    /// <param name="device">Where the pass runs.</param>
    public CudaWatch(PoleStatistics? statistics, OutputRange? outputs, Device device)
    {
        _statistics = statistics;
        var tracking = default(CudaTracking);
        if (statistics is not null)
        {
            _guarded = zeros(CudaTracking.CountCells, dtype: ScalarType.Int64, device: device);
            _minDenominator = full([], HeldScalars.PositiveInfinity, dtype: ScalarType.Float32, device: device);
            _maxOutput = zeros([], dtype: ScalarType.Float32, device: device);
            tracking.Guarded = (ulong*)TensorMemory.Address(_guarded);
            tracking.MinDenominator = (float*)TensorMemory.Address(_minDenominator);
            tracking.MaxOutput = (float*)TensorMemory.Address(_maxOutput);
        }

        if (outputs is not null)
        {
            tracking.RangeUse = (long)(outputs.training ? RangeUse.Widen : RangeUse.Clip);
            tracking.Low = (float*)TensorMemory.Address(outputs.Low);
            tracking.High = (float*)TensorMemory.Address(outputs.High);
        }

        Tracking = tracking;
    }

    /// <summary>What the kernel is told.</summary>
    public CudaTracking Tracking { get; }

    /// <summary>Hands what the launched pass will have noted to the statistics; nothing waits for the device.</summary>
    /// <param name="count">Number of ladder values of the pass.</param>
    public void Finish(long count) => _statistics?.Add(count, _guarded!.sum(), _minDenominator!, _maxOutput!);
}
