using BenchmarkDotNet.Attributes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Benchmarks;

/// <summary>Elementwise ladders from the gate [N, p], summed over L = 3 of depth 5.</summary>
[Config(typeof(InProcess))]
[MemoryDiagnoser]
public class ElementwiseLadderBenchmarks
{
    private const int Count = 3, Depth = 5;
    private Tensor _g = null!;
    private Tensor _levels = null!;
    private Tensor _combine = null!;
    private Tensor _upstream = null!;

    [Params(2048)]
    public int Tokens { get; set; }

    [Params(256, 768)]
    public int Width { get; set; }

    [GlobalSetup]
    public void Draw()
    {
        manual_seed(1);
        _g = randn(Tokens, Width).requires_grad_(true);
        _levels = randn(Depth, Count, Width).requires_grad_(true);
        _combine = randn(Count, Width).requires_grad_(true);
        _upstream = randn(Tokens, Width);
    }

    [GlobalCleanup]
    public void Release()
    {
        foreach (var tensor in new[] { _g, _levels, _combine, _upstream })
        {
            tensor.Dispose();
        }
    }

    [Benchmark(Baseline = true)]
    public void NestedDivision() => ForwardBackward(() => Combine(LadderReference.NestedDivision(Denominators())));

    [Benchmark]
    public void Composed()
    {
        LadderFunction.Backend = LadderBackend.Composed;
        ForwardBackward(() => Combine(LadderFunction.Apply(Denominators(), PoleGuard.Paper)));
    }

    [Benchmark]
    public void Fused()
    {
        LadderFunction.Backend = LadderBackend.Fused;
        ForwardBackward(() => ElementwiseFunction.Apply(_g, _levels, null, _combine, PoleGuard.Paper, null, null));
    }

    private Tensor Denominators() => (_g.unsqueeze(-2).unsqueeze(-2) * _levels).flatten(-2);

    private Tensor Combine(Tensor z) => (z.view(Tokens, Count, Width) * _combine).sum(-2);

    private void ForwardBackward(Func<Tensor> evaluate)
    {
        using var scope = NewDisposeScope();
        autograd.grad([evaluate()], [_g, _levels, _combine], [_upstream]);
    }
}
