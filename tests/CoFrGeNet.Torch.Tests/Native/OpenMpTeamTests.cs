using CoFrGeNet.Simd;
using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Torch.Tests.Native;

public class OpenMpTeamTests
{
    [Fact]
    public void Every_piece_runs_once_on_the_threads_of_libtorch()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libtorch brings GNU's OpenMP on Linux only");
        using var loaded = TorchSharp.torch.ones(1);
        Assert.True(OpenMpTeam.Use());
        Assert.Equal(OpenMpTeam.Run, RowPartition.Team);
        for (int round = 0; round < 100; round++)
        {
            var runs = new int[37];
            RowPartition.Run(runs.Length, 3, piece => Interlocked.Increment(ref runs[piece]));
            Assert.All(runs, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public void An_exception_on_any_thread_reaches_the_caller()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libtorch brings GNU's OpenMP on Linux only");
        using var loaded = TorchSharp.torch.ones(1);
        Assert.True(OpenMpTeam.Use());
        var error = Assert.Throws<AggregateException>(() => RowPartition.Run(20, 3, piece => Fail(piece)));
        Assert.Contains(error.InnerExceptions, inner => inner is InvalidOperationException);

        static void Fail(int piece)
        {
            if (piece == 11)
            {
                throw new InvalidOperationException("11");
            }
        }
    }
}
