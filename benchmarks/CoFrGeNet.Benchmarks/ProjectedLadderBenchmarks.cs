using BenchmarkDotNet.Attributes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Benchmarks;

/// <summary>Ladders on given partial denominators [N, d, L].</summary>
[Config(typeof(InProcess))]
[MemoryDiagnoser]
public class ProjectedLadderBenchmarks
{
    private Tensor _a = null!;
    private Tensor _upstream = null!;

    [Params(2048)]
    public int Tokens { get; set; }

    [Params(16, 768)]
    public int Ladders { get; set; }

    [Params(3, 5)]
    public int Depth { get; set; }

    [GlobalSetup]
    public void Draw()
    {
        manual_seed(1);
        _a = randn(Tokens, Depth, Ladders).requires_grad_(true);
        _upstream = randn(Tokens, Ladders);
    }

    [GlobalCleanup]
    public void Release()
    {
        _a.Dispose();
        _upstream.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void NestedDivision() => ForwardBackward(LadderReference.NestedDivision);

    [Benchmark]
    public void Composed()
    {
        LadderFunction.Backend = LadderBackend.Composed;
        ForwardBackward(a => LadderFunction.Apply(a, PoleGuard.Paper));
    }

    [Benchmark]
    public void Fused()
    {
        LadderFunction.Backend = LadderBackend.Fused;
        ForwardBackward(a => LadderFunction.Apply(a, PoleGuard.Paper));
    }

    private void ForwardBackward(Func<Tensor, Tensor> evaluate)
    {
        using var scope = NewDisposeScope();
        autograd.grad([evaluate(_a)], [_a], [_upstream]);
    }
}
