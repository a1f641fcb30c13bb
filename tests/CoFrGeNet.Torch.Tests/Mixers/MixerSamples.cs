using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Mixers;

/// <summary>One of every mixer at width 12 and context 10, with weights large enough that tokens matter to each other.</summary>
internal static class MixerSamples
{
    public const int Width = 12;
    public const int Context = 10;

    public static TheoryData<string> Names =>
        ["attention", "grouped-rotary", "sparse", "synthesizer", "cattnm", "cattnm-clamp", "cattnm-relative", "cattnu", "cattnu-deep", "cattnu-relative", "cattnu-map", "cattnu-maps", "cattnu-bias", "cattnu-forget", "cattnu-forget-maps"];

    public static MixerConfig Config(string name) => name switch
    {
        "attention" => new AttentionConfig { Heads = 3 },
        "grouped-rotary" => new AttentionConfig
        {
            Heads = 4,
            KeyValueHeads = 2,
            HeadSize = 6,
            Bias = false,
            Rotary = new()
            {
                Theta = 50,
                Scaling = new() { Factor = 4, LowFrequencyFactor = 1, HighFrequencyFactor = 4, OriginalContextLength = 60 },
            },
        },
        "sparse" => new SparseAttentionConfig { Heads = 2, Window = 3, Stride = 4 },
        "synthesizer" => new SynthesizerConfig { Heads = 3 },
        "cattnm" => new CAttnMConfig { Heads = 2, Ladders = new() { Count = 5, Depth = 3 } },
        "cattnm-clamp" => new CAttnMConfig { Heads = 3, Ladders = new() { Count = 4, Depth = 2, Guard = PoleGuard.Paper, Bias = 2 } },
        "cattnm-relative" => new CAttnMConfig { Heads = 2, Ladders = new() { Count = 5, Depth = 3 }, RelativePositions = true },
        "cattnu" => new CAttnUConfig(),
        "cattnu-deep" => new CAttnUConfig { Depth = 4, Guard = new PositiveGuard() },
        "cattnu-relative" => new CAttnUConfig { Depth = 3, RelativePositions = true, Heads = 4 },
        "cattnu-map" => new CAttnUConfig { InputMaps = 1 },
        "cattnu-maps" => new CAttnUConfig { InputMaps = 2, RelativePositions = true, Heads = 3 },
        "cattnu-bias" => new CAttnUConfig { InputMaps = 2, InputBias = true, RelativePositions = true, Heads = 2 },
        "cattnu-forget" => new CAttnUConfig { RelativePositions = true, ForgetGates = true },
        "cattnu-forget-maps" => new CAttnUConfig { InputMaps = 2, RelativePositions = true, Heads = 3, ForgetGates = true },
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "No such mixer."),
    };

    public static TokenMixer Create(string name, Device? device = null)
    {
        var mixer = ModuleFactory.Mixer(Config(name), Width, Context, new ModuleOptions { Device = device });
        FormulaWeights.Fill(mixer, 0.6);
        mixer.eval();
        return mixer;
    }
}
