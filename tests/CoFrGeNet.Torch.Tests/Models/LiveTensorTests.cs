using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Tests.ContinuedFractions;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

[Collection(LiveTensors.Name)]
public class LiveTensorTests
{
    private const string ForgetGates = "forget-gates";

    public static TheoryData<string> Names => [.. ModelShapeTests.TinyNames.Select(row => row.Data), "small-fu", ForgetGates];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_training_step_leaves_no_tensor_behind(string name)
    {
        using var model = Small(name);
        using Tensor tokens = FormulaWeights.Tokens(17, 0, 2, 12), targets = FormulaWeights.Tokens(17, 3, 2, 12);
        foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            model.ComputeType = type;
            RequireStepsToLeaveNothing(model, tokens, targets, 5);
        }
    }

    // CAttnU takes texts of 128 tokens and more in parts.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_step_over_a_long_text_leaves_no_tensor_behind(bool forgets)
    {
        var config = LanguageModelTests.SmallConfig("small-fu").WithMixer(new CAttnUConfig { RelativePositions = true, Heads = 2, ForgetGates = forgets });
        using var model = new LanguageModel(config with { ContextLength = 140 });
        using Tensor tokens = FormulaWeights.Tokens(17, 0, 2, 140), targets = FormulaWeights.Tokens(17, 3, 2, 140);
        RequireStepsToLeaveNothing(model, tokens, targets, 5);
    }

    [Fact]
    public void A_thousand_steps_leave_no_tensor_behind()
    {
        using var model = LanguageModelTests.Small("tiny-fu");
        using Tensor tokens = FormulaWeights.Tokens(17, 0, 2, 12), targets = FormulaWeights.Tokens(17, 3, 2, 12);
        RequireStepsToLeaveNothing(model, tokens, targets, 1000);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Blocks_computed_again_give_the_same_gradients_bit_by_bit(string name)
    {
        using Tensor tokens = FormulaWeights.Tokens(17, 0, 2, 12), targets = FormulaWeights.Tokens(17, 3, 2, 12);
        using var model = Small(name);
        var kept = Gradients(model, tokens, targets);
        model.CheckpointBlocks = true;
        Assert.Equal(kept, Gradients(model, tokens, targets));
        RequireStepsToLeaveNothing(model, tokens, targets, 5);
    }

    [Fact]
    public void Poles_are_counted_once_when_blocks_are_computed_again()
    {
        using Tensor tokens = FormulaWeights.Tokens(17, 0, 2, 12), targets = FormulaWeights.Tokens(17, 3, 2, 12);
        using var model = LanguageModelTests.Small("tiny-fu");
        long Count(bool isCheckpointed)
        {
            model.CheckpointBlocks = isCheckpointed;
            using var statistics = new PoleStatistics();
            foreach (var layer in model.modules().OfType<ILadderLayer>())
            {
                layer.Statistics = statistics;
            }

            TrainStep(model, tokens, targets);
            return statistics.Count;
        }

        var expected = Count(false);
        Assert.True(expected > 0);
        Assert.Equal(expected, Count(true));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Evaluation_and_decoding_leave_no_tensor_behind(string name)
    {
        using var quiet = no_grad();
        using var model = Small(name);
        model.eval();
        using var tokens = FormulaWeights.Tokens(17, 0, 2, 12);
        Decode(model, tokens);
        var before = LiveTensors.Count();
        for (var round = 0; round < 5; round++)
        {
            model.forward(tokens).Dispose();
            Decode(model, tokens);
        }

        // Fewer where the finalizer has only now come to a tensor of another test.
        Assert.InRange(Tensor.TotalCount, 0, before);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_disposed_model_takes_its_tensors_along(string name)
    {
        var before = LiveTensors.Count();
        var model = Small(name);
        var parameters = model.parameters().Count();
        Assert.Equal(before + (2 * parameters) + model.buffers().Count(), Tensor.TotalCount);
        model.Dispose();

        // TorchSharp counts a tensor that becomes a parameter twice and lets go of it once; the memory is free.
        Assert.Equal(before + parameters, Tensor.TotalCount);
    }

    private static LanguageModel Small(string name) => name == ForgetGates
        ? new LanguageModel(LanguageModelTests.SmallConfig("small-fu").WithMixer(new CAttnUConfig { RelativePositions = true, Heads = 2, ForgetGates = true }))
        : LanguageModelTests.Small(name);

    private static List<(string Name, string Bytes)> Gradients(LanguageModel model, Tensor tokens, Tensor targets)
    {
        using (var loss = model.Loss(tokens, targets))
        {
            loss.backward();
        }

        var gradients = new List<(string, string)>();
        foreach (var (name, parameter) in model.named_parameters())
        {
            using var gradient = parameter.grad!;
            gradients.Add((name, Convert.ToHexString(gradient.bytes)));
            parameter.grad = null;
        }

        return gradients;
    }

    // After a first step, which makes what stays.
    private static void RequireStepsToLeaveNothing(LanguageModel model, Tensor tokens, Tensor targets, int steps)
    {
        TrainStep(model, tokens, targets);
        var before = LiveTensors.Count();
        for (var step = 0; step < steps; step++)
        {
            TrainStep(model, tokens, targets);
        }

        Assert.Equal(before, Tensor.TotalCount);
    }

    private static void TrainStep(LanguageModel model, Tensor tokens, Tensor targets)
    {
        // No scope: what a user without one has to dispose of is the loss and the gradients.
        using (var loss = model.Loss(tokens, targets))
        {
            loss.backward();
        }

        foreach (var parameter in model.parameters())
        {
            parameter.grad?.Dispose();
            parameter.grad = null;
        }
    }

    private static void Decode(LanguageModel model, Tensor tokens)
    {
        var caches = model.Blocks.Select(_ => new MixerCache(12)).ToArray();
        for (var start = 0; start < 12; start += 4)
        {
            using var part = tokens.narrow(1, start, 4);
            model.Hidden(part, caches).Dispose();
        }

        foreach (var cache in caches)
        {
            cache.Dispose();
        }
    }
}
