using CoFrGeNet.Configuration;
using CoFrGeNet.Generation;
using CoFrGeNet.Text;
using CoFrGeNet.Torch.Tests.ContinuedFractions;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

// Live tensors are counted, so nothing else may run beside.
[Collection(LiveTensors.Name)]
public class TorchLanguageModelTests
{
    private const int Context = 24;

    public static TheoryData<string> Presets => ["tiny", "tiny-f", "tiny-a", "tiny-u", "tiny-fa", "tiny-fu", "tiny-gate"];

    [Theory]
    [MemberData(nameof(Presets))]
    public void Decoding_with_a_cache_gives_the_logits_of_the_whole_sequence(string preset)
    {
        using var model = Build(preset);
        ILanguageModel wrapped = new TorchLanguageModel(model);
        var tokens = Tokens(Context);
        var whole = new float[Context * wrapped.VocabularySize];
        wrapped.Forward([tokens], [.. Enumerable.Range(0, Context).Select(i => new TokenPosition(0, i))], whole);
        using var session = wrapped.StartSession();
        // A prompt at once, single tokens, several tokens on top of a cache.
        foreach (var (from, to) in new[] { (0, 7), (7, 8), (8, 9), (9, 14), (14, 15), (15, Context) })
        {
            AssertClose(whole.AsSpan((to - 1) * wrapped.VocabularySize, wrapped.VocabularySize), session.Append(tokens.AsSpan(from, to - from)));
            Assert.Equal(to, session.Length);
        }

        session.Truncate(10);
        AssertClose(whole.AsSpan(10 * wrapped.VocabularySize, wrapped.VocabularySize), session.Append(tokens.AsSpan(10, 1)));
    }

    [Theory]
    [InlineData("tiny")]
    [InlineData("tiny-fu")]
    public void A_batch_of_several_lengths_gives_what_each_sequence_gives_alone(string preset)
    {
        using var model = Build(preset);
        ILanguageModel wrapped = new TorchLanguageModel(model);
        int[] first = Tokens(9), second = Tokens(Context);
        var together = new float[3 * wrapped.VocabularySize];
        wrapped.Forward([first, second], [new(1, Context - 1), new(0, 8), new(0, 3)], together);
        var alone = new float[wrapped.VocabularySize];
        wrapped.Forward([first], [new(0, 8)], alone);
        AssertClose(alone, together.AsSpan(wrapped.VocabularySize, wrapped.VocabularySize));
        wrapped.Forward([second], [new(0, Context - 1)], alone);
        AssertClose(alone, together.AsSpan(0, wrapped.VocabularySize));
        Assert.Throws<ArgumentOutOfRangeException>(() => wrapped.Forward([first], [new(0, 9)], alone));
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void Generating_leaves_no_tensor_behind(string preset)
    {
        using var model = Build(preset, contextLength: 80);
        var generator = new TextGenerator(new TorchLanguageModel(model), ByteTokenizer.Instance);
        var options = new SamplingOptions { Seed = 1, MaxTokens = 50 };
        _ = generator.Generate("warm", options, TestContext.Current.CancellationToken);
        var before = LiveTensors.Count();
        var after = new List<long>();
        foreach (var _ in generator.Stream("abcd", new Sampler(options), TestContext.Current.CancellationToken))
        {
            after.Add(Tensor.TotalCount);
        }

        Assert.Single(after.Distinct());
        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public void A_sequence_longer_than_the_context_is_refused_with_numbers()
    {
        using var model = Build("tiny-u");
        var wrapped = new TorchLanguageModel(model);
        using var session = wrapped.StartSession();
        session.Append(Tokens(Context));
        Assert.Contains($"{Context + 1} tokens", Assert.Throws<UserErrorException>(() => { session.Append([1]); }).Message);
        Assert.Throws<ArgumentException>(() => { session.Append([]); });
    }

    private static LanguageModel Build(string preset, int contextLength = Context)
    {
        set_num_threads(1);
        manual_seed(5);
        var (config, _) = PresetLibrary.Get(preset);
        var small = config with { ContextLength = contextLength, Width = 32, Blocks = [config.Blocks[0] with { Repeat = 2 }], InitialStd = 0.2 };
        return new LanguageModel(small);
    }

    private static int[] Tokens(int count)
    {
        var random = new Random(9);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(257))];
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.InRange(actual[i], expected[i] - 2e-4f, expected[i] + 2e-4f);
        }
    }
}
