// dotnet run -c Release --project benchmarks/CoFrGeNet.Benchmarks -- --filter '*'      times ladders with BenchmarkDotNet
// dotnet run -c Release --project benchmarks/CoFrGeNet.Benchmarks -- accuracy          prints the table of docs/results/gradient-accuracy.md
using BenchmarkDotNet.Running;
using CoFrGeNet.Benchmarks;
using CoFrGeNet.Torch.Native;

LibTorch.EnsureLoaded();
AllocatorTuning.Apply();
if (args is ["accuracy"])
{
    GradientAccuracy.Write(Console.Out);
    return;
}

BenchmarkSwitcher.FromAssembly(typeof(ProjectedLadderBenchmarks).Assembly).Run(args);
