using System.Diagnostics;
using CoFrGeNet.Torch.Cuda;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>While it lives, ladders on CPU tensors go to kernels of an <see cref="EmulatedCuda"/>, and warnings are kept.</summary>
internal sealed class EmulatedDevice : TraceListener
{
    // Compiled kernels serve all tests, except those that make something fail.
    private static readonly Lazy<CudaLadders> Shared = new(() => new CudaLadders(new Lazy<CudaToolkit>(() => EmulatedCuda.OrSkip().Toolkit), _ => 0));

    private readonly List<string> _warnings = [];

    public EmulatedDevice(CudaLadders? ladders = null)
    {
        Cuda = EmulatedCuda.OrSkip();
        CudaLadders.Emulation = ladders ?? Shared.Value;
        Trace.Listeners.Add(this);
    }

    public EmulatedCuda Cuda { get; }

    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Ends it: kernels ran, and nothing fell back to tensor operations.</summary>
    public void RequireKernels()
    {
        int launches = Cuda.Launches;
        Dispose();
        Assert.True(_warnings.Count == 0, string.Join('\n', _warnings));
        Assert.NotEqual(0, launches);
        Assert.Equal(0, Cuda.Contexts);
    }

    /// <summary>Begins anew with warnings.</summary>
    public void Forget() => _warnings.Clear();

    public override void Write(string? message)
    {
    }

    public override void WriteLine(string? message)
    {
    }

    public override void TraceEvent(TraceEventCache? eventCache, string source, TraceEventType eventType, int id, string? format, params object?[]? args) =>
        _warnings.Add(string.Format(System.Globalization.CultureInfo.InvariantCulture, format ?? "", args ?? []));

    protected override void Dispose(bool disposing)
    {
        CudaLadders.Emulation = null;
        Trace.Listeners.Remove(this);
        Cuda.Restart();
        base.Dispose(disposing);
    }
}
