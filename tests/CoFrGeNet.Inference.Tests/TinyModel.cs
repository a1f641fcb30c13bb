using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Tests;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Inference.Tests;

/// <summary>Model folders with weights by formula, made without torch.</summary>
internal static class TinyModel
{
    public const int Vocabulary = 67;
    public const int Context = 200;
    public const int Width = 96;

    /// <summary>Where outputs are clipped, if they are: at this and at its negative.</summary>
    public const float RangeEnd = 0.1f;

    public static TheoryData<string> Names => ["gpt2", "llama", "f", "elementwise", "a", "u", "u-forget", "fu", "synthesizer"];

    public static ModelConfig Config(string name) => name switch
    {
        "gpt2" => Of(new AttentionConfig { Heads = 4 }, new MlpConfig()),
        "llama" => Of(new AttentionConfig { Heads = 4, KeyValueHeads = 2, Bias = false, Rotary = new() }, new SwiGluConfig { HiddenSize = 72 }) with
        {
            Norm = new() { Kind = NormKind.RmsNorm },
            LearnedPositions = false,
            TiedHead = false,
        },
        "f" => Of(new AttentionConfig { Heads = 4 }, Cffn),
        "elementwise" => Of(new AttentionConfig { Heads = 4 }, Cffn with { Ladders = Cffn.Ladders with { Kind = LadderKind.Elementwise } }),
        "a" => Of(new CAttnMConfig { Heads = 3, Ladders = new() { Count = 5, Depth = 2, ClipToTrainedRange = false } }, new MlpConfig()),
        "u" => Of(new CAttnUConfig { ClipToTrainedRange = false }, new MlpConfig()),
        "u-clipped" => Of(new CAttnUConfig(), new MlpConfig()),
        "u-forget" => Of(new CAttnUConfig { InputMaps = 2, RelativePositions = true, Heads = 3, ForgetGates = true, ClipToTrainedRange = false }, new MlpConfig()),
        "fu" => Of(new CAttnUConfig { ClipToTrainedRange = false }, Cffn),
        "synthesizer" => Of(new SynthesizerConfig { Heads = 3 }, new GatedLinearConfig()),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "No such model."),
    };

    private static CffnConfig Cffn => new() { Ladders = new() { Count = 7, Depth = 3, ClipToTrainedRange = false } };

    /// <summary>Writes a folder.</summary>
    public static string Write(TemporaryFolder folder, string name) => Write(folder, Config(name));

    /// <summary>Writes a folder.</summary>
    public static string Write(TemporaryFolder folder, ModelConfig config)
    {
        var entries = Tensors(config).Select(tensor => TensorEntry.FromSingles(tensor.Name, tensor.Shape, Values(tensor.Name, tensor.Shape))).ToArray();
        WeightFiles.Write(folder.Root, entries);
        var document = new ModelFolderConfig { Tokenizer = "byte", Model = config };
        folder.Write(ModelFolderConfig.FileName, JsonSerializer.SerializeToUtf8Bytes(document, ConfigJsonContext.Default.ModelFolderConfig));
        return folder.Root;
    }

    public static int[] Tokens(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary))];
    }

    private static ModelConfig Of(MixerConfig mixer, FeedForwardConfig feedForward) => new()
    {
        VocabularySize = Vocabulary,
        ContextLength = Context,
        Width = Width,
        Blocks = [new() { Repeat = 2, Mixer = mixer, FeedForward = feedForward }],
    };

    private static float[] Values(string name, long[] shape)
    {
        if (name.Contains(".range.", StringComparison.Ordinal))
        {
            return [.. Enumerable.Repeat(name.EndsWith("low", StringComparison.Ordinal) ? -RangeEnd : RangeEnd, (int)shape.Aggregate(1L, (a, b) => a * b))];
        }

        // Gates that keep something of a token for some pages.
        var (offset, size) = name.EndsWith("forget.bias", StringComparison.Ordinal) ? (-4f, 0.5f) : name.EndsWith("forget.weight", StringComparison.Ordinal) ? (0f, 0.05f) : (0f, 0.5f);
        var seed = name.Aggregate(17, (sum, letter) => (sum * 31) + letter);
        var random = new Random(seed);
        var center = name.EndsWith("norm.weight", StringComparison.Ordinal) ? 1f : offset;
        var values = new float[shape.Aggregate(1L, (a, b) => a * b)];
        foreach (ref var value in values.AsSpan())
        {
            value = center + (size * (random.NextSingle() - 0.5f));
        }

        return values;
    }

    private static IEnumerable<(string Name, long[] Shape)> Tensors(ModelConfig model)
    {
        long p = model.Width;
        yield return ("token_embedding", [model.VocabularySize, p]);
        if (model.LearnedPositions)
        {
            yield return ("position_embedding", [model.ContextLength, p]);
        }

        foreach (var (index, block) in model.Layers.Index())
        {
            var name = $"blocks.{index}";
            foreach (var tensor in Norm($"{name}.mixer_norm").Concat(Mixer($"{name}.mixer", block.Mixer)).Concat(Norm($"{name}.feed_forward_norm")).Concat(FeedForward($"{name}.feed_forward", block.FeedForward)))
            {
                yield return tensor;
            }
        }

        foreach (var tensor in Norm("final_norm"))
        {
            yield return tensor;
        }

        if (!model.TiedHead)
        {
            yield return ("head.weight", [model.VocabularySize, p]);
        }

        IEnumerable<(string, long[])> Norm(string name) =>
            model.Norm.Kind == NormKind.LayerNorm ? [($"{name}.weight", [p]), ($"{name}.bias", [p])] : [($"{name}.weight", [p])];

        IEnumerable<(string, long[])> Linear(string name, long outputs, long inputs, bool bias = false) =>
            bias ? [($"{name}.weight", [outputs, inputs]), ($"{name}.bias", [outputs])] : [($"{name}.weight", [outputs, inputs])];

        IEnumerable<(string, long[])> Ladders(string name, LadderConfig ladders, long count) =>
            Enumerable.Range(0, ladders.Depth).Select(k => ($"{name}.ladders.levels.{k}", new[] { count, p }));

        IEnumerable<(string, long[])> Mixer(string name, MixerConfig mixer) => mixer switch
        {
            AttentionConfig a =>
            [
                .. Linear($"{name}.qkv", (a.Heads + (2L * (a.KeyValueHeads ?? a.Heads))) * a.ResolveHeadSize(model.Width), p, a.Bias),
                .. Linear($"{name}.output", p, (long)a.Heads * a.ResolveHeadSize(model.Width), a.Bias),
            ],
            CAttnMConfig m =>
            [
                .. Ladders(name, m.Ladders, m.Heads * m.Ladders.Count), ($"{name}.positions", [m.Heads, model.ContextLength, m.Ladders.Count]), .. Linear($"{name}.value", p, p),
            ],
            CAttnUConfig u =>
            [
                ($"{name}.linear", [2, model.ContextLength]), .. Enumerable.Range(0, u.Depth - 1).Select(k => ($"{name}.levels.{k}", new long[] { 2, model.ContextLength })),
                u.RelativePositions ? ($"{name}.distances", [2, u.Heads, model.ContextLength]) : ($"{name}.triangles", [model.ContextLength, model.ContextLength + 1]),
                .. u.InputMaps > 0 ? Linear($"{name}.inputs", u.InputMaps * p, p, u.InputBias) : [],
                .. u.ForgetGates ? Linear($"{name}.forget", 2L * u.Heads, p, true) : [],
                .. u.ClipToTrainedRange ? new[] { "low", "high" }.Select(end => ($"{name}.range.{end}", new long[] { model.ContextLength, 2 })) : [],
            ],
            SynthesizerConfig s =>
            [
                .. Linear($"{name}.hidden", p, p), ($"{name}.positions", [s.Heads, model.ContextLength, p / s.Heads]), .. Linear($"{name}.value", p, p), .. Linear($"{name}.output", p, p),
            ],
            _ => throw new ArgumentOutOfRangeException(nameof(mixer)),
        };

        IEnumerable<(string, long[])> FeedForward(string name, FeedForwardConfig feedForward) => feedForward switch
        {
            MlpConfig m => [.. Linear($"{name}.up", m.ResolveHiddenSize(model.Width), p, m.Bias), .. Linear($"{name}.down", p, m.ResolveHiddenSize(model.Width), m.Bias)],
            SwiGluConfig s => [.. Linear($"{name}.gate", s.HiddenSize, p), .. Linear($"{name}.up", s.HiddenSize, p), .. Linear($"{name}.down", p, s.HiddenSize)],
            GatedLinearConfig => [.. Linear($"{name}.gate", p, p), .. Linear($"{name}.linear", p, p)],
            CffnConfig c =>
            [
                .. Linear($"{name}.gate", p, p), .. Linear($"{name}.linear", p, p), .. Ladders(name, c.Ladders, c.Ladders.Count),
                .. c.Ladders.Kind == LadderKind.Projected ? Linear($"{name}.combine", p, c.Ladders.Count) : Linear($"{name}.combine", c.Ladders.Count, p),
            ],
            _ => throw new ArgumentOutOfRangeException(nameof(feedForward)),
        };
    }
}
