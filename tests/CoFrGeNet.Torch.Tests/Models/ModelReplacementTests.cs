using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

public class ModelReplacementTests
{
    private static readonly CffnConfig Cffn = new() { Ladders = new() { Count = 4, Depth = 3 } };

    [Fact]
    public void Only_chosen_layers_change()
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        var before = model.named_parameters().ToDictionary(entry => entry.name, entry => (entry.parameter.Handle, Bytes: entry.parameter.bytes.ToArray()));
        var report = model.Replace(Cffn, 2, 0, 2);
        Assert.Equal([0, 2], report.Layers);
        var after = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        foreach (var (name, parameter) in after)
        {
            var replaced = name.StartsWith("blocks.0.feed_forward.", StringComparison.Ordinal) || name.StartsWith("blocks.2.feed_forward.", StringComparison.Ordinal);
            if (!replaced)
            {
                // The very same tensor, not a copy: an optimizer that holds it stays valid.
                Assert.Equal(before[name].Handle, parameter.Handle);
                Assert.True(parameter.bytes.SequenceEqual(before[name].Bytes), name);
            }
        }

        Assert.Contains("blocks.0.feed_forward.ladders.levels.2", after.Keys);
        Assert.Contains("blocks.1.feed_forward.up.weight", after.Keys);
        Assert.DoesNotContain("blocks.2.feed_forward.up.weight", after.Keys);
        Assert.Equal(after.Keys.Order(), new LanguageModel(model.Config).named_parameters().Select(entry => entry.name).Order());
    }

    [Fact]
    public void The_report_and_the_configuration_follow()
    {
        using var model = Model();
        var before = ParameterCount.Of(model.Config);
        var report = model.Replace(new CAttnUConfig(), 1);
        Assert.Equal(before, report.Before);
        Assert.Equal(ParameterCount.Of(model.Config), report.After);
        Assert.Equal(report.After.Total, model.parameters().Sum(parameter => parameter.numel()));

        // Attention 4 x 16^2 + 4 x 16 against T (2 d + T + 1), T = 12, d = 2.
        Assert.Equal(-((4 * 256) + 64) + (12 * 17), report.After.Mixer - report.Before.Mixer);
        Assert.Equal(["AttentionConfig", "CAttnUConfig", "AttentionConfig"], model.Config.Layers.Select(layer => layer.Mixer.GetType().Name));
        Assert.StartsWith("layers 1: ", report.ToString(), StringComparison.Ordinal);
        Assert.Contains($"{before.Total:N0} -> {report.After.Total:N0} parameters", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void No_layer_given_means_all()
    {
        using var model = Model();
        Assert.Equal([0, 1, 2], model.Replace(new GatedLinearConfig()).Layers);
        Assert.All(model.Blocks, block => Assert.IsType<GatedLinear>(block.FeedForward));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(-1)]
    public void A_layer_that_is_not_there_is_refused_and_nothing_changes(int layer)
    {
        using var model = Model();
        var config = model.Config;
        var error = Assert.Throws<UserErrorException>(() => model.Replace(Cffn, 0, layer));
        Assert.Contains($"Layer {layer}", error.Message, StringComparison.Ordinal);
        Assert.Contains("0 to 2", error.Message, StringComparison.Ordinal);
        Assert.Same(config, model.Config);
        Assert.All(model.Blocks, block => Assert.IsType<Mlp>(block.FeedForward));
    }

    [Fact]
    public void A_part_that_does_not_fit_is_refused_and_nothing_changes()
    {
        using var model = Model();
        var error = Assert.Throws<UserErrorException>(() => model.Replace(new AttentionConfig { Heads = 5 }, 1));
        Assert.Contains("blocks[1].mixer.heads is 5", error.Message, StringComparison.Ordinal);
        Assert.Equal(4, ((AttentionConfig)model.Config.Layers.ElementAt(1).Mixer).Heads);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void New_parts_take_the_models_mode_and_compute_type(bool training)
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        model.train(training);
        model.ComputeType = ScalarType.BFloat16;
        model.Replace(Cffn, 1);
        Assert.All(model.modules(), module => Assert.Equal(training, module.training));
        Assert.All(model.modules().OfType<Linear>(), linear => Assert.Equal(ScalarType.BFloat16, linear.ComputeType));
    }

    [Fact]
    public void A_replaced_model_trains()
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        using var model = Model();
        model.Replace(Cffn, 0, 1);
        model.Replace(new CAttnUConfig(), 2);
        using var optimizer = optim.AdamW(model.parameters(), 1e-2);
        Tensor tokens = FormulaWeights.Tokens(17, 0, 2, 12), targets = FormulaWeights.Tokens(17, 4, 2, 12);
        var losses = new List<float>();
        for (var step = 0; step < 6; step++)
        {
            optimizer.zero_grad();
            var loss = model.Loss(tokens, targets);
            loss.backward();
            Assert.All(model.named_parameters(), entry => Assert.True(entry.parameter.grad is not null, entry.name));
            optimizer.step();
            losses.Add(loss.item<float>());
        }

        Assert.True(losses[^1] < losses[0], $"{losses[0]} -> {losses[^1]}");
    }

    private static LanguageModel Model()
    {
        var config = PresetLibrary.Get("tiny").Model;
        return new LanguageModel(config with { Width = 16, ContextLength = 12, VocabularySize = 17, Blocks = [config.Blocks[0] with { Repeat = 3 }] });
    }
}
