using System.Text.Json;
using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

/// <summary>Tiny models whose values an independent implementation computed: golden/reference.py wrote golden/reference.json.</summary>
internal static class GoldenModels
{
    public const int Vocabulary = 23;
    public const int Context = 12;

    private static readonly ModelConfig Gpt2 = new()
    {
        VocabularySize = Vocabulary,
        ContextLength = Context,
        Width = 16,
        Blocks = [new() { Repeat = 2, Mixer = new AttentionConfig { Heads = 2 }, FeedForward = new MlpConfig() }],
    };

    private static readonly CffnConfig Projected = new() { Ladders = new() { Count = 5, Depth = 3 } };

    public static TheoryData<string> Names => ["gpt2", "llama", "f", "a", "u", "fu", "elementwise"];

    public static ModelConfig Config(string name) => name switch
    {
        "gpt2" => Gpt2,
        "llama" => Gpt2 with
        {
            Norm = new() { Kind = NormKind.RmsNorm },
            LearnedPositions = false,
            TiedHead = false,
            Blocks = [new() { Repeat = 2, Mixer = Grouped, FeedForward = new SwiGluConfig { HiddenSize = 24 } }],
        },
        "f" => Gpt2.WithFeedForward(Projected),
        "a" => Gpt2.WithMixer(new CAttnMConfig { Heads = 2, Ladders = new() { Count = 4, Depth = 3 } }),
        "u" => Gpt2.WithMixer(new CAttnUConfig()),
        "fu" => Gpt2.WithFeedForward(Projected).WithMixer(new CAttnUConfig { Depth = 4, Guard = new PositiveGuard() }),
        "elementwise" => Gpt2.WithFeedForward(new CffnConfig
        {
            Gate = GateKind.Sigmoid,
            LinearOnGated = false,
            Ladders = new() { Count = 3, Depth = 5, Kind = LadderKind.Elementwise, Bias = 1, Guard = new PositiveGuard() },
        }),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "No such model."),
    };

    private static AttentionConfig Grouped => new()
    {
        Heads = 4,
        KeyValueHeads = 2,
        HeadSize = 4,
        Bias = false,
        Rotary = new() { Theta = 500, Scaling = new() { Factor = 8, LowFrequencyFactor = 1, HighFrequencyFactor = 4, OriginalContextLength = 60 } },
    };

    public static LanguageModel Create(string name, Device? device = null)
    {
        var model = new LanguageModel(Config(name), device);
        FormulaWeights.Fill(model, 0.25);
        return model;
    }

    public static (Tensor Tokens, Tensor Targets) Batch() =>
        (FormulaWeights.Tokens(Vocabulary, 0, 2, Context), FormulaWeights.Tokens(Vocabulary, 5, 2, Context));

    public static JsonElement Golden(string name)
    {
        using var stream = typeof(GoldenModels).Assembly.GetManifestResourceStream("reference.json")
            ?? throw new InvalidOperationException("golden/reference.json is not embedded; golden/reference.py says how it is made.");
        return JsonDocument.Parse(stream).RootElement.GetProperty(name);
    }

    public static double[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(number => number.GetDouble())];
}
