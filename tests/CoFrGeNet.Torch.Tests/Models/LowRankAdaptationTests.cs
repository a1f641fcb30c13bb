using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

public class LowRankAdaptationTests
{
    [Theory]
    [InlineData("")]
    [InlineData("-f")]
    [InlineData("-fa")]
    [InlineData("-fu")]
    public void Additions_start_at_nothing_and_merge_into_the_weights(string variant)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var model = Model(variant);
        using var tokens = tensor(new long[] { 1, 2, 3, 4, 5, 6 }, [2, 3]);
        var names = model.state_dict().Keys.Order().ToArray();
        var before = model.forward(tokens);
        model.Adapt(new LoraConfig(2, 8));
        Assert.True(before.equal(model.forward(tokens)).all().item<bool>(), "B is 0, so nothing has changed");

        foreach (var (name, parameter) in model.named_parameters().Where(entry => entry.name.EndsWith("lora.b", StringComparison.Ordinal)))
        {
            nn.init.normal_(parameter, 0, 0.1);
        }

        var adapted = model.forward(tokens);
        Assert.True((adapted - before).abs().max().item<float>() > 1e-3);
        model.MergeAdapters();
        Assert.Equal(names, model.state_dict().Keys.Order());
        // One product in place of two: sums of at most 64 float32 terms are added in another order.
        Assert.True((model.forward(tokens) - adapted).abs().max().item<float>() < 1e-5);
        Assert.All(model.parameters(), parameter => Assert.True(parameter.requires_grad));
    }

    [Fact]
    public void Only_additions_and_ladders_are_trained()
    {
        using var scope = NewDisposeScope();
        using var model = Model("-f");
        var trained = model.Adapt(new LoraConfig(2, 8));
        var names = model.named_parameters().Where(entry => entry.parameter.requires_grad).Select(entry => entry.name).ToArray();
        Assert.All(names, name => Assert.True(name.Contains(".lora.", StringComparison.Ordinal) || name.Contains(".levels.", StringComparison.Ordinal), name));
        // Two layers x (qkv 16 + 48, output, gate and linear 16 + 16 each, combine 4 + 16) x rank 2, and two levels of 4 x 16.
        Assert.Equal(2 * (((64 + (3 * 32) + 20) * 2) + (2 * 4 * 16)), trained);

        using var tokens = tensor(new long[] { 1, 2, 3, 4 }, [1, 4]);
        model.Loss(tokens, tokens).backward();
        Assert.All(model.named_parameters(), entry => Assert.Equal(entry.parameter.requires_grad, entry.parameter.grad is not null));
    }

    [Fact]
    public void Maps_that_are_read_past_their_forward_get_no_addition()
    {
        using var model = new LanguageModel(Config("-f").WithFeedForward(new CffnConfig { Ladders = new() { Count = 2, Depth = 1, Kind = LadderKind.Elementwise } }));
        model.Adapt(new LoraConfig(1, 1));
        var names = model.named_parameters().Select(entry => entry.name).ToArray();
        Assert.Contains("blocks.0.feed_forward.gate.lora.a", names);
        Assert.DoesNotContain("blocks.0.feed_forward.combine.lora.a", names);
    }

    // They are ladders, few and without levels.
    [Fact]
    public void Forget_gates_are_trained_whole()
    {
        using var model = new LanguageModel(Config("-f").WithMixer(new CAttnUConfig { RelativePositions = true, Heads = 2, InputMaps = 2, ForgetGates = true }));
        model.Adapt(new LoraConfig(1, 1));
        var trained = model.named_parameters().Where(entry => entry.parameter.requires_grad).Select(entry => entry.name).ToArray();
        Assert.Contains("blocks.0.mixer.forget.weight", trained);
        Assert.Contains("blocks.0.mixer.forget.bias", trained);
        Assert.Contains("blocks.0.mixer.inputs.lora.a", trained);
        Assert.DoesNotContain("blocks.0.mixer.forget.lora.a", trained);
    }

    [Fact]
    public void A_rank_of_0_is_refused()
    {
        using var model = Model("");
        Assert.Contains("lora.rank is 0", Assert.Throws<UserErrorException>(() => model.Adapt(new LoraConfig(0, 1))).Message);
    }

    private static ModelConfig Config(string variant)
    {
        var preset = PresetLibrary.Get("tiny" + variant).Model;
        var block = preset.Blocks[0] with { Repeat = 2 };
        if (block.FeedForward is CffnConfig cffn)
        {
            block = block with { FeedForward = cffn with { Ladders = cffn.Ladders with { Count = 4, Depth = 2 } } };
        }

        return preset with { Width = 16, ContextLength = 8, Blocks = [block] };
    }

    private static LanguageModel Model(string variant)
    {
        manual_seed(1);
        var model = new LanguageModel(Config(variant));
        model.eval();
        return model;
    }
}
