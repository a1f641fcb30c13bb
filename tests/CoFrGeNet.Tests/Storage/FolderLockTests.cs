using CoFrGeNet.Storage;

namespace CoFrGeNet.Tests.Storage;

public sealed class FolderLockTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task One_that_many_wait_for_is_held_by_one_at_a_time_and_refused_to_none()
    {
        var inside = 0;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(
            () =>
            {
                for (var i = 0; i < 200; i++)
                {
                    using var held = FolderLock.Await(_folder.Root, "results.lock");
                    Assert.Equal(1, Interlocked.Increment(ref inside));
                    Interlocked.Decrement(ref inside);
                }
            },
            TestContext.Current.CancellationToken)));
        using var free = FolderLock.TryTake(_folder.Root, "results.lock");
        Assert.NotNull(free);
        Assert.Null(FolderLock.TryTake(_folder.Root, "results.lock"));
    }
}
