using CoFrGeNet.Torch.Tests;
using static TorchSharp.torch;

// One generator and one count of live tensors serve the whole process, so tests that seed or count must not run side by side.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]
[assembly: AssemblyFixture(typeof(OneThread))]

namespace CoFrGeNet.Torch.Tests;

/// <summary>One thread for libtorch: tensors are tiny here, and the sums of a product do not depend on the machine's number of cores.</summary>
public sealed class OneThread
{
    public OneThread() => set_num_threads(1);
}
