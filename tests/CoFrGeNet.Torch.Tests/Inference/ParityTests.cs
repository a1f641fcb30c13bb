using CoFrGeNet.Configuration;
using CoFrGeNet.Generation;
using CoFrGeNet.Inference;
using CoFrGeNet.Tests;
using CoFrGeNet.Torch.Tests.ContinuedFractions;

namespace CoFrGeNet.Torch.Tests.Inference;

/// <summary>The engine against the torch model on the same weights.</summary>
[Collection(LiveTensors.Name)]
public sealed class ParityTests : IDisposable
{
    // Both compute in float32 with sums in different orders; logits here reach some tens.
    private const float Tolerance = 1e-4f;

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => EngineSamples.Names;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Logits_are_those_of_the_torch_model(string name)
    {
        using var torchModel = EngineSamples.Create(name);
        EngineSamples.Save(_folder, torchModel);
        using var engine = InferenceModel.Load(_folder.Root);
        ILanguageModel reference = new TorchLanguageModel(torchModel), model = engine;
        // Row by row, in blocks, over one page of the cache and over several; wanted out of order.
        ReadOnlyMemory<int>[] sequences = [EngineSamples.Tokens(9, 1), EngineSamples.Tokens(EngineSamples.Context, 2), EngineSamples.Tokens(70, 3), EngineSamples.Tokens(24, 4)];
        TokenPosition[] positions = [.. Enumerable.Range(0, sequences.Length).Reverse().SelectMany(i => Enumerable.Range(0, sequences[i].Length).Select(j => new TokenPosition(i, j)))];
        float[] expected = new float[positions.Length * EngineSamples.Vocabulary], actual = new float[expected.Length];
        reference.Forward(sequences, positions, expected);
        model.Forward(sequences, positions, actual);
        AssertClose(expected, actual);
    }

    [Fact]
    public void What_only_torch_computes_is_refused()
    {
        var relative = EngineSamples.Config("mixer-cattnm-relative");
        var ladders = new LadderConfig { Count = 3, Depth = 2 };
        (ModelConfig Config, string Part)[] strangers =
        [
            (relative, "CAttnM with relative positions"),
            (relative.WithMixer(new AttentionConfig { Heads = 2 }).WithFeedForward(new CffnConfig { Gate = GateKind.Product, Ladders = ladders }), "the product gate"),
            (relative.WithMixer(new AttentionConfig { Heads = 2 }).WithFeedForward(new CffnConfig { Ladders = ladders with { NormalizeOutputs = true } }), "normalized ladder outputs"),
        ];
        foreach (var (config, part) in strangers)
        {
            using var model = new LanguageModel(config);
            EngineSamples.Save(_folder, model);
            Assert.Contains(part, Assert.Throws<UserErrorException>(() => InferenceModel.Load(_folder.Root)).Message);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Decoding_with_a_cache_gives_the_logits_of_the_whole_sequence(string name)
    {
        using var torchModel = EngineSamples.Create(name);
        EngineSamples.Save(_folder, torchModel);
        using var engine = InferenceModel.Load(_folder.Root);
        ILanguageModel reference = new TorchLanguageModel(torchModel);
        var tokens = EngineSamples.Tokens(EngineSamples.Context, 5);
        var whole = new float[tokens.Length * EngineSamples.Vocabulary];
        reference.Forward([tokens], [.. Enumerable.Range(0, tokens.Length).Select(i => new TokenPosition(0, i))], whole);
        using var session = engine.StartSession();
        int[] ends = [7, 8, 9, 14, 40, 63, 64, 65, 130, 131, 240, 241, EngineSamples.Context];
        var length = 0;
        foreach (var end in ends)
        {
            AssertClose(whole.AsSpan((end - 1) * EngineSamples.Vocabulary, EngineSamples.Vocabulary), session.Append(tokens.AsSpan(length, end - length)));
            Assert.Equal(end, session.Length);
            length = end;
        }

        session.Truncate(66);
        AssertClose(whole.AsSpan(66 * EngineSamples.Vocabulary, EngineSamples.Vocabulary), session.Append(tokens.AsSpan(66, 1)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Greedy_continuations_are_those_of_the_torch_model(string name)
    {
        const int count = 200;
        using var torchModel = EngineSamples.Create(name);
        EngineSamples.Save(_folder, torchModel);
        using var engine = InferenceModel.Load(_folder.Root);
        Assert.Equal(Greedy(new TorchLanguageModel(torchModel), count), Greedy(engine, count));
    }

    private static List<int> Greedy(ILanguageModel model, int count)
    {
        using var session = model.StartSession();
        var tokens = new List<int>();
        int[] next = EngineSamples.Tokens(30, 6);
        while (tokens.Count < count)
        {
            var logits = session.Append(next);
            next = [System.Numerics.Tensors.TensorPrimitives.IndexOfMax(logits)];
            tokens.Add(next[0]);
        }

        return tokens;
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= Tolerance, $"logit {i}: {actual[i]} instead of {expected[i]}");
        }
    }
}
