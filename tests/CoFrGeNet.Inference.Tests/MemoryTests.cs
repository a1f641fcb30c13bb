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
    public void Crowds_of_sequences_that_come_and_go_allocate_nothing_a_token() => DecodeCrowd(20_000);

    /// <summary>Some minutes: <c>CoFrGeNet.Inference.Tests -method "*million*" -explicit only -showLiveOutput</c>.</summary>
    [Fact(Explicit = true)]
    public void Crowds_of_sequences_decode_a_million_tokens_in_flat_memory() => DecodeCrowd(1_000_000);

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

    }

    // Greedy decoding of 48 sequences side by side: each with a prompt of its own length, decoded to a length of its own, its cache given back, and the next in its place.
    private void DecodeCrowd(long tokens)
    {
        const int longestPrompt = 40;
        TinyModel.Write(_folder, "f");
        using var model = InferenceModel.Load(_folder.Root);
        var random = new Random(1);
        var prompts = TinyModel.Tokens(4 * longestPrompt, 1);
        var slots = Enumerable.Range(0, 48).Select(_ => new Slot(model.StartSession())).ToArray();
        var steps = new SessionTokens[slots.Length];
        long decoded = 0, sequences = 0;
        // The largest passes there can be first, up to whole contexts; then by chance, a quarter of it before anything is compared.
        Array.ForEach(slots, slot => slot.Start(prompts.AsMemory(0, longestPrompt), TinyModel.Context));
        Decode(slots.Length * (TinyModel.Context - longestPrompt));
        Decode(decoded + (tokens / 4));
        var (resident, allocated) = (Resident(), GC.GetTotalAllocatedBytes(precise: true));
        Decode(tokens);
        allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
        var grown = Resident() - resident;
        Array.ForEach(slots, slot => slot.Session.Dispose());
        TestContext.Current.TestOutputHelper?.WriteLine($"{decoded} tokens, {sequences} sequences, {allocated} bytes allocated and {grown} more resident after a quarter, {resident >> 20} MiB resident");
        Assert.Equal(0, allocated);
        // The runtime's own: code that is compiled again, the collection that the measurement asks for.
        Assert.InRange(grown, long.MinValue, 4L << 20);
        Assert.Equal(model.CacheCapacity, model.CacheFree);

        void Decode(long until)
        {
            for (; decoded < until; decoded += slots.Length)
            {
                for (var i = 0; i < slots.Length; i++)
                {
                    if (slots[i].IsDone)
                    {
                        var prompt = random.Next(1, longestPrompt + 1);
                        slots[i].Start(prompts.AsMemory(random.Next(3 * longestPrompt), prompt), random.Next(prompt + 1, TinyModel.Context + 1));
                        sequences++;
                    }

                    steps[i] = slots[i].Next();
                }

                model.Append(steps);
            }
        }
    }

    private static long Resident()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return Environment.WorkingSet;
    }

    private sealed class Slot(IDecodingSession session)
    {
        private readonly int[] _token = new int[1];
        private ReadOnlyMemory<int> _prompt;
        private int _length;

        public IDecodingSession Session { get; } = session;

        public bool IsDone => Session.Length >= _length;

        public void Start(ReadOnlyMemory<int> prompt, int length)
        {
            Session.Truncate(0);
            (_prompt, _length) = (prompt, length);
        }

        public SessionTokens Next()
        {
            if (Session.Length == 0)
            {
                return new SessionTokens(Session, _prompt);
            }

            var logits = Session.Logits;
            _token[0] = 0;
            for (var i = 1; i < logits.Length; i++)
            {
                _token[0] = logits[i] > logits[_token[0]] ? i : _token[0];
            }

            return new SessionTokens(Session, _token);
        }
    }
}
