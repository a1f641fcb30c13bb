using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Tests.Presets;

public class PresetTests
{
    public static TheoryData<string> Names => [.. PresetLibrary.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_preset_is_valid_and_survives_json(string name)
    {
        var (model, tokenizer) = PresetLibrary.Get(name);
        model.Validate();
        Assert.Contains(tokenizer, (string[])["byte", "gpt2", "llama3"]);
        var json = JsonSerializer.Serialize(model, ConfigJsonContext.Default.ModelConfig);
        var again = StrictJson.Read(StrictJson.Parse(json, "model"), ConfigJsonContext.Default.ModelConfig, "model");
        Assert.Equal(model, again);
        Assert.Equal(model.GetHashCode(), again.GetHashCode());

        // Equality is by record; the text shows members that equality might leave out.
        Assert.Equal(json, JsonSerializer.Serialize(again, ConfigJsonContext.Default.ModelConfig));
    }

    [Fact]
    public void There_are_eight_transformers_with_six_variants_each()
    {
        Assert.Equal(8 * 7, PresetLibrary.Names.Count());
        Assert.Equal(["tiny", "small", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "llama-3.2-1b", "llama-3.2-3b"], PresetLibrary.BaseNames);
    }

    [Theory]
    [InlineData("tiny", typeof(AttentionConfig), typeof(MlpConfig))]
    [InlineData("tiny-f", typeof(AttentionConfig), typeof(CffnConfig))]
    [InlineData("tiny-a", typeof(CAttnMConfig), typeof(MlpConfig))]
    [InlineData("tiny-u", typeof(CAttnUConfig), typeof(MlpConfig))]
    [InlineData("tiny-fa", typeof(CAttnMConfig), typeof(CffnConfig))]
    [InlineData("tiny-fu", typeof(CAttnUConfig), typeof(CffnConfig))]
    [InlineData("tiny-gate", typeof(AttentionConfig), typeof(GatedLinearConfig))]
    [InlineData("llama-3.2-3b", typeof(AttentionConfig), typeof(SwiGluConfig))]
    [InlineData("llama-3.2-3b-fa", typeof(CAttnMConfig), typeof(CffnConfig))]
    public void A_variant_replaces_the_part_that_it_names(string name, Type mixer, Type feedForward) =>
        Assert.All(PresetLibrary.Get(name).Model.Layers, layer =>
        {
            Assert.IsType(mixer, layer.Mixer);
            Assert.IsType(feedForward, layer.FeedForward);
        });

    // The mixers and ladders of docs/results/a.md.
    [Theory]
    [InlineData("small-f", true)]
    [InlineData("small-u", false)]
    [InlineData("small-fu", false)]
    public void Small_has_the_mixers_and_ladders_of_the_studies(string name, bool hasLearnedPositions)
    {
        var model = PresetLibrary.Get(name).Model;
        Assert.Equal(hasLearnedPositions, model.LearnedPositions);
        Assert.All(model.Layers, layer =>
        {
            Assert.True(layer.Mixer is AttentionConfig or CAttnUConfig { RelativePositions: true, Heads: 4, InputMaps: 2, Guard: PositiveGuard { Epsilon: 1 } });
            Assert.True(layer.FeedForward is MlpConfig or CffnConfig { Ladders: { Kind: LadderKind.Elementwise, Count: 3, Depth: 1, Guard: PositiveGuard { Epsilon: 1 } } });
        });
    }

    // Mixers with parameters for every position cannot have Llama's 131,072 of them.
    [Theory]
    [InlineData("llama-3.2-1b", 131072)]
    [InlineData("llama-3.2-1b-f", 131072)]
    [InlineData("llama-3.2-1b-gate", 131072)]
    [InlineData("llama-3.2-1b-a", 4096)]
    [InlineData("llama-3.2-3b-fu", 4096)]
    [InlineData("gpt2-xl-fu", 1024)]
    public void Static_mixers_take_the_static_context_length(string name, int contextLength) =>
        Assert.Equal(contextLength, PresetLibrary.Get(name).Model.ContextLength);

    [Theory]
    [InlineData("gpt3", "gpt2")]
    [InlineData("gpt2-xl-af", "gpt2-xl-f")]
    [InlineData("Tiny-f", "tiny-f")]
    [InlineData("", "tiny")]
    public void An_unknown_name_is_answered_with_the_nearest(string name, string nearest)
    {
        var error = Assert.Throws<UserErrorException>(() => PresetLibrary.Get(name));
        Assert.Contains($"did you mean '{nearest}'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpt2-xl-fu", "gpt2-xl")]
    [InlineData("gpt2", "gpt2")]
    [InlineData("gpt2-f", "gpt2")]
    [InlineData("llama-3.2-1b-gate", "llama-3.2-1b")]
    public void The_base_name_is_the_longest_that_fits(string name, string baseName) => Assert.Equal(baseName, PresetLibrary.BaseName(name));

    [Fact]
    public void Equality_looks_through_repetition_and_at_every_member()
    {
        var tiny = PresetLibrary.Get("tiny").Model;
        Assert.Equal(tiny, tiny with { Blocks = [.. tiny.Layers] });
        Assert.NotEqual(tiny, tiny with { Blocks = [.. tiny.Layers.Skip(1)] });
        Assert.NotEqual(tiny, tiny with { Width = 64 });
        Assert.NotEqual(tiny, tiny with { ContextLength = 64 });
        Assert.NotEqual(tiny, tiny with { VocabularySize = 258 });
        Assert.NotEqual(tiny, tiny with { TiedHead = false });
        Assert.NotEqual(tiny, tiny with { LearnedPositions = false });
        Assert.NotEqual(tiny, tiny with { InitialStd = 0.01 });
        Assert.NotEqual(tiny, tiny with { Norm = new() { Epsilon = 1e-6 } });
        Assert.NotEqual(PresetLibrary.Get("tiny-f").Model, tiny);
    }

    [Fact]
    public void Llama_has_its_rotary_scaling()
    {
        var attention = (AttentionConfig)PresetLibrary.Get("llama-3.2-3b").Model.Blocks[0].Mixer;
        Assert.Equal((24, 8, 128), (attention.Heads, attention.KeyValueHeads, attention.ResolveHeadSize(3072)));
        Assert.Equal(500000, attention.Rotary!.Theta);
        Assert.Equal(
            new RotaryScalingConfig { Factor = 32, LowFrequencyFactor = 1, HighFrequencyFactor = 4, OriginalContextLength = 8192 }, attention.Rotary.Scaling);
    }

    [Fact]
    public void A_stored_configuration_holds_no_computed_members()
    {
        var json = (JsonObject)JsonSerializer.SerializeToNode(PresetLibrary.Get("tiny-fa").Model, ConfigJsonContext.Default.ModelConfig)!;
        Assert.Equal(
            ["blocks", "contextLength", "initialStd", "learnedPositions", "norm", "tiedHead", "vocabularySize", "width"],
            json.Select(member => member.Key).Order(StringComparer.Ordinal));
    }
}
