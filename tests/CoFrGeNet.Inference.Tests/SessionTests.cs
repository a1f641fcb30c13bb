using CoFrGeNet.Generation;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Inference.Tests;

public sealed class SessionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_sequence_longer_than_the_context_is_refused_with_numbers_and_stays_as_it_was()
    {
        using var model = Load();
        using var session = model.StartSession();
        using var other = model.StartSession();
        session.Append(TinyModel.Tokens(TinyModel.Context - 1, 1));
        var logits = session.Logits.ToArray();
        var error = Assert.Throws<UserErrorException>(() => { session.Append([1, 2]); });
        Assert.Contains($"{TinyModel.Context + 1} tokens", error.Message);
        Assert.Throws<UserErrorException>(() => model.Append([new SessionTokens(other, new[] { 1 }), new SessionTokens(session, new[] { 1, 2 })]));
        Assert.Equal((TinyModel.Context - 1, 0), (session.Length, other.Length));
        Assert.True(session.Logits.SequenceEqual(logits));
        session.Append([1]);
        Assert.Equal(TinyModel.Context, session.Length);
    }

    [Fact]
    public void Wrong_tokens_and_sessions_are_refused()
    {
        using var model = Load();
        using var stranger = Load();
        using var session = model.StartSession();
        using var strange = stranger.StartSession();
        Assert.Throws<ArgumentException>(() => { session.Append([]); });
        Assert.Throws<ArgumentOutOfRangeException>(() => { session.Append([TinyModel.Vocabulary]); });
        Assert.Throws<ArgumentOutOfRangeException>(() => { session.Append([-1]); });
        Assert.Throws<ArgumentException>(() => model.Append([new SessionTokens(strange, new[] { 1 })]));
        Assert.Throws<ArgumentException>(() => model.Append([new SessionTokens(session, new[] { 1 }), new SessionTokens(session, new[] { 1 })]));
        Assert.Throws<ArgumentOutOfRangeException>(() => ((ILanguageModel)model).Forward([new[] { 1, 2 }], [new TokenPosition(0, 2)], new float[TinyModel.Vocabulary]));
        Assert.Equal(0, session.Length);
        Assert.True(session.Logits.IsEmpty);
        session.Append([1]);
        session.Truncate(0);
        Assert.True(session.Logits.IsEmpty);
        Assert.Throws<ArgumentOutOfRangeException>(() => session.Truncate(1));
    }

    [Fact]
    public void Caches_keep_to_their_budget()
    {
        using var model = Load(new InferenceOptions { CacheTokens = 200 });
        Assert.Equal(192, model.CacheCapacity);
        using var first = model.StartSession();
        using var second = model.StartSession();
        first.Append(TinyModel.Tokens(128, 1));
        second.Append(TinyModel.Tokens(64, 2));
        Assert.Equal(0, model.CacheFree);
        var logits = second.Logits.ToArray();
        Assert.Contains("192 tokens", Assert.Throws<UserErrorException>(() => { second.Append([1]); }).Message);
        Assert.Throws<UserErrorException>(() => model.Append([new SessionTokens(first, new[] { 1 }), new SessionTokens(second, new[] { 1 })]));
        Assert.Equal((128, 64), (first.Length, second.Length));
        Assert.True(second.Logits.SequenceEqual(logits));
        first.Truncate(64);
        second.Append([1]);
        first.Dispose();
        second.Dispose();
        Assert.Equal(192, model.CacheFree);
        Assert.Throws<UserErrorException>(() => Load(new InferenceOptions { CacheBytes = 1 }));
    }

    [Fact]
    public async Task Threads_with_sessions_of_their_own_do_not_disturb_each_other()
    {
        using var model = Load();
        var tokens = TinyModel.Tokens(TinyModel.Context, 3);
        var expected = Logits(model, tokens);
        var all = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => Logits(model, tokens))));
        Assert.All(all, logits => Assert.Equal(expected, logits));

        static float[] Logits(InferenceModel model, int[] tokens)
        {
            using var session = model.StartSession();
            session.Append(tokens.AsSpan(0, 50));
            for (var i = 50; i < tokens.Length - 1; i++)
            {
                session.Append(tokens.AsSpan(i, 1));
            }

            return session.Append(tokens.AsSpan(tokens.Length - 1)).ToArray();
        }
    }

    private InferenceModel Load(InferenceOptions? options = null)
    {
        if (!File.Exists(_folder.File("config.json")))
        {
            TinyModel.Write(_folder, "gpt2");
        }

        return InferenceModel.Load(_folder.Root, options);
    }
}
