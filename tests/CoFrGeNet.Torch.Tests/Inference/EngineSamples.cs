using CoFrGeNet.Configuration;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using CoFrGeNet.Torch.Tests.Mixers;
using CoFrGeNet.Torch.Tests.Models;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Inference;

/// <summary>
/// Small models of every architecture, mixer and feed-forward, as torch models and as folders. Widths and counts that fill no register, a context of several
/// pages of the engine's cache, and ladders whose ranges were trained, so that clipping happens.
/// </summary>
internal static class EngineSamples
{
    public const int Vocabulary = 83;
    public const int Context = 264;
    private const int Width = 36;

    public static TheoryData<string> Names =>
    [
        .. GoldenModels.Names.Select(row => row.Data), .. MixerSamples.Names.Where(row => row.Data != "cattnm-relative").Select(row => "mixer-" + row.Data),
        "swiglu", "gated", "mlp-no-bias", "cffn-clamp", "cffn-bias", "cffn-ungated", "elementwise-smooth", "elementwise-clamp", "unclipped", "mixed",
    ];

    public static ModelConfig Config(string name)
    {
        var config = name.StartsWith("mixer-", StringComparison.Ordinal)
            ? With(MixerSamples.Config(name["mixer-".Length..]), new MlpConfig())
            : name switch
            {
                "swiglu" => With(new AttentionConfig { Heads = 2 }, new SwiGluConfig { HiddenSize = 50 }),
                "gated" => With(new AttentionConfig { Heads = 2 }, new GatedLinearConfig { Gate = GateKind.Sigmoid }),
                "mlp-no-bias" => With(new AttentionConfig { Heads = 2, Bias = false }, new MlpConfig { HiddenSize = 37, Bias = false }),
                // The paper's zone of 0.01 multiplies rounding errors by up to 10^4, which would hide a mistake.
                "cffn-clamp" => With(new AttentionConfig { Heads = 2 }, new CffnConfig { Ladders = new() { Count = 19, Depth = 4, Guard = new ClampGuard { Epsilon = 0.5 } } }),
                "cffn-bias" => With(new AttentionConfig { Heads = 2 }, new CffnConfig { Gate = GateKind.Sigmoid, Ladders = new() { Count = 3, Depth = 1, Bias = 1, Guard = new PositiveGuard() } }),
                "cffn-ungated" => With(new AttentionConfig { Heads = 2 }, new CffnConfig { LinearOnGated = false, Ladders = new() { Count = 16, Depth = 3 } }),
                "elementwise-smooth" => With(new AttentionConfig { Heads = 2 }, new CffnConfig { Ladders = new() { Count = 2, Depth = 3, Kind = LadderKind.Elementwise } }),
                "elementwise-clamp" => With(new AttentionConfig { Heads = 2 }, new CffnConfig { Ladders = new() { Count = 3, Depth = 2, Kind = LadderKind.Elementwise, Guard = PoleGuard.Paper, ClipToTrainedRange = false } }),
                "unclipped" => With(new CAttnUConfig { ClipToTrainedRange = false }, new CffnConfig { Ladders = new() { Count = 5, Depth = 2, ClipToTrainedRange = false } }),
                "mixed" => With(new AttentionConfig { Heads = 2 }, new MlpConfig()) with
                {
                    Blocks =
                    [
                        new() { Mixer = new AttentionConfig { Heads = 3, KeyValueHeads = 1, Rotary = new() }, FeedForward = new CffnConfig { Ladders = new() { Count = 7, Depth = 3 } } },
                        new() { Repeat = 2, Mixer = new CAttnUConfig(), FeedForward = new SwiGluConfig { HiddenSize = 20 } },
                        new() { Mixer = new CAttnMConfig { Heads = 2, Ladders = new() { Count = 4, Depth = 2 } }, FeedForward = new MlpConfig() },
                    ],
                },
                _ => GoldenModels.Config(name),
            };
        return config with { VocabularySize = Vocabulary, ContextLength = Context };
    }

    public static LanguageModel Create(string name)
    {
        var model = new LanguageModel(Config(name));
        FormulaWeights.Fill(model, 0.25);
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (parameter, value) in model.named_parameters())
        {
            // Weights by formula would leave nothing of a token after a page of the cache.
            if (parameter.EndsWith("forget.weight", StringComparison.Ordinal))
            {
                value.mul_(0.1);
            }
            else if (parameter.EndsWith("forget.bias", StringComparison.Ordinal))
            {
                value.fill_(-5);
            }
        }

        model.train();
        model.forward(FormulaWeights.Tokens(Vocabulary, 3, 2, Context));
        model.eval();
        return model;
    }

    public static void Save(TemporaryFolder folder, LanguageModel model) => ModelFolder.Save(folder.Root, model, ByteTokenizer.Instance);

    public static int[] Tokens(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary))];
    }

    private static ModelConfig With(MixerConfig mixer, FeedForwardConfig feedForward) => new()
    {
        VocabularySize = Vocabulary,
        ContextLength = Context,
        Width = Width,
        Blocks = [new() { Repeat = 2, Mixer = mixer, FeedForward = feedForward }],
    };
}
