using System.Runtime.CompilerServices;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

public class ModelShapeTests
{
    public static TheoryData<string> Names => [.. PresetLibrary.Names];

    public static TheoryData<string> TinyNames => [.. PresetLibrary.Names.Where(name => name.StartsWith("tiny", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_model_has_the_parameters_that_accounting_gives(string name)
    {
        using var scope = NewDisposeScope();
        var config = PresetLibrary.Get(name).Model;
        using var model = new LanguageModel(config, META);
        var counted = model.named_parameters().GroupBy(entry => Component(entry.name)).ToDictionary(group => group.Key, group => group.Sum(entry => entry.parameter.numel()));
        var expected = ParameterCount.Of(config);
        Assert.Equal(expected.Embedding, counted["embedding"]);
        Assert.Equal(expected.Mixer, counted["mixer"]);
        Assert.Equal(expected.FeedForward, counted["feedForward"]);
        Assert.Equal(expected.Norm, counted["norm"]);
        Assert.Equal(expected.Head, counted.GetValueOrDefault("head"));
        Assert.Equal(expected.Total, model.parameters().Sum(parameter => parameter.numel()));
        Assert.Equal(expected.BlockParameters, model.Blocks.Sum(block => block.parameters().Sum(parameter => parameter.numel())));
    }

    /// <summary>To approve new names or shapes, run this test with COFRGENET_APPROVE=1 and commit the files that it writes.</summary>
    [Theory]
    [MemberData(nameof(TinyNames))]
    public void Names_and_shapes_are_the_approved_ones(string name)
    {
        using var model = new LanguageModel(PresetLibrary.Get(name).Model, META);
        var lines = TensorWeights.Of(model).Select(entry => $"{entry.Name} {entry.Tensor.dtype} [{string.Join(", ", entry.Tensor.shape)}]");
        var received = string.Concat(lines.Select(line => line + "\n"));
        if (Environment.GetEnvironmentVariable("COFRGENET_APPROVE") == "1")
        {
            File.WriteAllText(Path.Combine(Path.GetDirectoryName(ThisFile())!, "approved", name + ".txt"), received);
            Assert.Skip("Approved what was received; run without COFRGENET_APPROVE to compare.");
        }

        using var stream = typeof(ModelShapeTests).Assembly.GetManifestResourceStream($"approved.{name}.txt");
        Assert.True(stream is not null, $"There is no approved file for {name}; run this test with COFRGENET_APPROVE=1.");
        Assert.Equal(new StreamReader(stream).ReadToEnd(), received);
    }

    [Fact]
    public void A_tied_embedding_is_listed_once_and_trained_from_both_ends()
    {
        using var scope = NewDisposeScope();
        var config = PresetLibrary.Get("tiny").Model with { VocabularySize = 9, Width = 8, ContextLength = 4 };
        using var model = new LanguageModel(config);
        Assert.Single(model.parameters(), parameter => parameter.shape is [9, 8]);
        Assert.DoesNotContain(model.state_dict().Keys, name => name.StartsWith("head", StringComparison.Ordinal));

        // Token 8 is not in the input, so its row can only have a gradient as a row of the head.
        model.Loss(tensor(new long[] { 1, 2, 3 }, [1, 3]), tensor(new long[] { 2, 3, 4 }, [1, 3])).backward();
        var embedding = model.named_parameters().Single(entry => entry.name == "token_embedding").parameter;
        Assert.True(embedding.grad![8].abs().sum().item<float>() > 0);
    }

    [Fact]
    public void An_untied_head_is_a_parameter_of_its_own()
    {
        using var scope = NewDisposeScope();
        var config = PresetLibrary.Get("tiny").Model with { VocabularySize = 9, Width = 8, ContextLength = 4, TiedHead = false };
        using var model = new LanguageModel(config);
        Assert.Equal(2, model.parameters().Count(parameter => parameter.shape is [9, 8]));
        model.Loss(tensor(new long[] { 1, 2, 3 }, [1, 3]), tensor(new long[] { 2, 3, 4 }, [1, 3])).backward();
        Assert.Equal(0, model.named_parameters().Single(entry => entry.name == "token_embedding").parameter.grad![8].abs().sum().item<float>());
    }

    [Fact]
    public void Weights_start_with_the_configured_spread()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        using var model = new LanguageModel(PresetLibrary.Get("tiny-f").Model with { InitialStd = 0.02 });
        double Spread(string name) => model.named_parameters().Single(entry => entry.name == name).parameter.std().item<float>();

        // The sample's own spread: 1 / sqrt(2 n) is 0.5 % of it for n = 16,384 and 1.1 % for n = 2,048; four times that.
        Assert.InRange(Spread("token_embedding") / 0.02, 0.98, 1.02);
        Assert.InRange(Spread("blocks.1.feed_forward.gate.weight") / 0.02, 0.97, 1.03);
        Assert.InRange(Spread("blocks.1.feed_forward.linear.weight") / (0.02 / Math.Sqrt(8)), 0.97, 1.03);
        Assert.InRange(Spread("blocks.1.feed_forward.ladders.levels.0") / 0.05, 0.95, 1.05);
    }

    [Fact]
    public void More_tokens_than_the_context_are_the_users_mistake()
    {
        using var model = new LanguageModel(PresetLibrary.Get("tiny").Model with { ContextLength = 4 });
        var error = Assert.Throws<UserErrorException>(() => model.forward(zeros(1, 5, int64)));
        Assert.Contains("5 tokens", error.Message, StringComparison.Ordinal);
        Assert.Contains("context length is 4", error.Message, StringComparison.Ordinal);
    }

    private static string Component(string name)
    {
        var parts = name.Split('.');
        var part = parts[0] == "blocks" ? parts[2] : parts[0];
        return part switch
        {
            "token_embedding" or "position_embedding" => "embedding",
            "mixer" => "mixer",
            "feed_forward" => "feedForward",
            "mixer_norm" or "feed_forward_norm" or "final_norm" => "norm",
            "head" => "head",
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "Belongs to no component."),
        };
    }

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
