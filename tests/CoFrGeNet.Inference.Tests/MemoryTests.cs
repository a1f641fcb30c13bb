using CoFrGeNet.Generation;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Inference.Tests;

// Allocations of the whole process are counted, so nothing else may run beside.
[Collection("alone")]
[CollectionDefinition("alone", DisableParallelization = true)]
public sealed class MemoryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => TinyModel.Names;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Decoding_allocates_nothing(string name)
    {
        TinyModel.Write(_folder, name);
        using var model = InferenceModel.Load(_folder.Root);
        using var single = model.StartSession();
        var sessions = Enumerable.Range(0, 5).Select(_ => model.StartSession()).ToArray();
        int[] token = [1];
        var steps = sessions.Select(session => new SessionTokens(session, token)).ToArray();
        // Through all lengths, and once more with pages that were given back: the working memory and the list of pages grow to what is needed, and code is compiled.
        Decode();
        Decode();
        var before = GC.GetTotalAllocatedBytes(precise: true);
        Decode();
        var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        Array.ForEach(sessions, session => session.Dispose());
        Assert.Equal(0, allocated);

        void Decode()
        {
            single.Truncate(0);
            foreach (var session in sessions)
            {
                session.Truncate(0);
            }

            for (var i = 0; i < TinyModel.Context; i++)
            {
                single.Append(token);
                model.Append(steps);
            }
        }
    }

    [Fact]
    public void Many_sequences_leave_memory_as_it_was()
    {
        TinyModel.Write(_folder, "fu");
        using var model = InferenceModel.Load(_folder.Root, new InferenceOptions { CacheTokens = 1024 });
        Run(20);
        var before = Resident();
        Run(400);
        // Pages are used again: 400 sequences would take 60 MiB of caches alone.
        Assert.InRange(Resident() - before, long.MinValue, 24L << 20);
        Assert.Equal(model.CacheCapacity, model.CacheFree);

        void Run(int count)
        {
            for (var i = 0; i < count; i++)
            {
                using var session = model.StartSession();
                session.Append(TinyModel.Tokens(100, i));
                for (var j = 0; j < 20; j++)
                {
                    session.Append([j]);
                }
            }
        }

        static long Resident()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return Environment.WorkingSet;
        }
    }
}
