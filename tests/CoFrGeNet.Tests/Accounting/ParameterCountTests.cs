using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Tests.Accounting;

// p width, T context length, L ladders, d depth, h heads.

public class ParameterCountTests
{
    private static readonly ModelConfig Frame = new() { VocabularySize = 11, ContextLength = 7, Width = 6, Blocks = [] };

    // The published sizes, from the Hugging Face hub.
    [Theory]
    [InlineData("gpt2", 124_439_808)]
    [InlineData("gpt2-medium", 354_823_168)]
    [InlineData("gpt2-large", 774_030_080)]
    [InlineData("gpt2-xl", 1_557_611_200)]
    [InlineData("llama-3.2-1b", 1_235_814_400)]
    [InlineData("llama-3.2-3b", 3_212_749_824)]
    public void A_transformer_has_its_published_size(string name, long parameters) =>
        Assert.Equal(parameters, ParameterCount.Of(PresetLibrary.Get(name).Model).Total);

    // L p (d + 1) + 2 p^2, p = 6.
    [Theory]
    [InlineData(1, 1, LadderKind.Projected, (1 * 6 * 2) + (2 * 36))]
    [InlineData(5, 3, LadderKind.Projected, (5 * 6 * 4) + (2 * 36))]
    [InlineData(5, 3, LadderKind.Elementwise, (5 * 6 * 4) + (2 * 36))]
    [InlineData(7, 7, LadderKind.Projected, (7 * 6 * 8) + (2 * 36))]
    public void Cffn_counts_as_the_paper_does(int ladders, int depth, LadderKind kind, long parameters) =>
        Assert.Equal(parameters, new CffnConfig { Ladders = new() { Count = ladders, Depth = depth, Kind = kind } }.ParameterCount(Frame));

    // Another p x p map: L p (d + 1) + 3 p^2.
    [Fact]
    public void The_product_gate_has_a_map_more()
    {
        Assert.Equal((5 * 6 * 4) + (3 * 36), new CffnConfig { Gate = GateKind.Product, Ladders = new() { Count = 5, Depth = 3 } }.ParameterCount(Frame));
        Assert.Equal(3 * 36, new GatedLinearConfig { Gate = GateKind.Product }.ParameterCount(Frame));
        Assert.Equal("3 p^2", new GatedLinearConfig { Gate = GateKind.Product }.ParameterFormula());
        Assert.Equal(2 * 3 * 36, new GatedLinearConfig { Gate = GateKind.Product }.FlopsPerToken(Frame));
    }

    // A bias a partial denominator: L d of them, or L p d for elementwise ladders.
    [Theory]
    [InlineData(LadderKind.Projected, (5 * 6 * 4) + (2 * 36) + (5 * 3))]
    [InlineData(LadderKind.Elementwise, (5 * 6 * 4) + (2 * 36) + (5 * 6 * 3))]
    public void Biases_of_denominators_are_counted(LadderKind kind, long parameters) =>
        Assert.Equal(parameters, new CffnConfig { Ladders = new() { Count = 5, Depth = 3, Kind = kind, Bias = 1 } }.ParameterCount(Frame));

    // h L (d p + T) + p^2, p = 6, T = 7.
    [Theory]
    [InlineData(1, 5, 1, (1 * 5 * ((1 * 6) + 7)) + 36)]
    [InlineData(2, 5, 3, (2 * 5 * ((3 * 6) + 7)) + 36)]
    [InlineData(3, 1, 7, (3 * 1 * ((7 * 6) + 7)) + 36)]
    public void Cattnm_counts_as_the_paper_does(int heads, int ladders, int depth, long parameters) =>
        Assert.Equal(parameters, new CAttnMConfig { Heads = heads, Ladders = new() { Count = ladders, Depth = depth } }.ParameterCount(Frame));

    // T (2 d + T + 1), T = 7.
    [Theory]
    [InlineData(2, 7 * (4 + 7 + 1))]
    [InlineData(5, 7 * (10 + 7 + 1))]
    public void Cattnu_counts_as_the_paper_does(int depth, long parameters) =>
        Assert.Equal(parameters, new CAttnUConfig { Depth = depth }.ParameterCount(Frame));

    // Ladder weights as before, and one number a distance, head and ensemble: 2 d T + 2 h T, T = 7.
    [Fact]
    public void Cattnu_over_distances_counts_its_heads() =>
        Assert.Equal((2 * 3 * 7) + (2 * 2 * 7), new CAttnUConfig { Depth = 3, RelativePositions = true, Heads = 2 }.ParameterCount(Frame));

    // p^2 a map, p = 6.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Cattnu_counts_its_input_maps(int maps) =>
        Assert.Equal((7 * (4 + 7 + 1)) + (maps * 36), new CAttnUConfig { InputMaps = maps }.ParameterCount(Frame));

    [Fact]
    public void Cattnu_counts_the_biases_of_its_input_maps() =>
        Assert.Equal((7 * (4 + 7 + 1)) + (2 * (36 + 6)), new CAttnUConfig { InputMaps = 2, InputBias = true }.ParameterCount(Frame));

    // One p-variate ladder of depth 1 with a bias for each head of both ensembles: 2 h (p + 1).
    [Fact]
    public void Cattnu_counts_its_forget_gates() =>
        Assert.Equal((2 * 2 * 7) + (2 * 3 * 7) + (2 * 3 * 7), new CAttnUConfig { RelativePositions = true, Heads = 3, ForgetGates = true }.ParameterCount(Frame));

    [Fact]
    public void The_transformers_own_parts_are_counted()
    {
        Assert.Equal((2 * 6 * 24) + 24 + 6, new MlpConfig().ParameterCount(Frame));
        Assert.Equal(2 * 6 * 10, new MlpConfig { HiddenSize = 10, Bias = false }.ParameterCount(Frame));
        Assert.Equal(3 * 6 * 10, new SwiGluConfig { HiddenSize = 10 }.ParameterCount(Frame));
        Assert.Equal(2 * 36, new GatedLinearConfig().ParameterCount(Frame));
        Assert.Equal((4 * 36) + (4 * 6), new AttentionConfig { Heads = 3 }.ParameterCount(Frame));
        Assert.Equal((4 * 36) + (4 * 6), new SparseAttentionConfig { Heads = 3, Window = 2 }.ParameterCount(Frame));

        // 4 query heads and 2 key-value heads of width 5: p (2 x 20 + 2 x 10).
        Assert.Equal(6 * (40 + 20), new AttentionConfig { Heads = 4, KeyValueHeads = 2, HeadSize = 5, Bias = false }.ParameterCount(Frame));
        Assert.Equal((3 * 36) + (7 * 6), new SynthesizerConfig { Heads = 2 }.ParameterCount(Frame));
    }

    [Fact]
    public void Components_add_up_and_only_an_untied_head_counts()
    {
        BlockConfig block = new() { Repeat = 2, Mixer = new CAttnUConfig(), FeedForward = new GatedLinearConfig() };
        var tied = ParameterCount.Of(Frame with { Blocks = [block, block with { Repeat = 1 }] });
        Assert.Equal((11 * 6) + (7 * 6), tied.Embedding);
        Assert.Equal(3 * 84, tied.Mixer);
        Assert.Equal(3 * 72, tied.FeedForward);
        Assert.Equal(7 * 12, tied.Norm);
        Assert.Equal(0, tied.Head);
        Assert.Equal((3 * 84) + (3 * 72) + (6 * 12), tied.BlockParameters);
        Assert.Equal(108 + 252 + 216 + 84, tied.Total);

        var llama = ParameterCount.Of(Frame with
        {
            Blocks = [block],
            Norm = new() { Kind = NormKind.RmsNorm },
            LearnedPositions = false,
            TiedHead = false,
        });
        Assert.Equal(11 * 6, llama.Embedding);
        Assert.Equal(5 * 6, llama.Norm);
        Assert.Equal(11 * 6, llama.Head);
    }

    [Fact]
    public void Operations_of_a_token_follow_from_the_products()
    {
        var model = Frame with { Blocks = [new() { Repeat = 3, Mixer = new AttentionConfig { Heads = 2 }, FeedForward = new MlpConfig() }] };
        var flops = FlopCount.Of(model);

        // Four p x p maps at 2 operations a multiply-add, scores and values over (T + 1) / 2 tokens; two p x 4p maps; the head.
        Assert.Equal(3 * ((2 * 4 * 36) + (2 * 2 * 6 * 8 / 2)), flops.Mixer);
        Assert.Equal(3 * (2 * 2 * 6 * 24), flops.FeedForward);
        Assert.Equal(2 * 11 * 6, flops.Head);
        Assert.Equal(3 * (flops.Mixer + flops.FeedForward + flops.Head), flops.Training);
    }
}
