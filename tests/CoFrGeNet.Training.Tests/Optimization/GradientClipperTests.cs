using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.Optimization;

public class GradientClipperTests
{
    // One float32 product a gradient.
    private const double OneRounding = 1e-7;

    [Fact]
    public void Components_are_clipped_first_and_then_all_together()
    {
        using var scope = NewDisposeScope();
        var (groups, parameters) = Groups([30, 0], [3, 4], [0.5f, 0]);
        var norms = Clip(new GradientClipper(groups, componentNorm: 1, globalNorm: 1), groups);

        // Norms 30, 5 and 0.5; after the first clipping 1, 1 and 0.5, together 1.5, so the second divides by 1.5.
        Assert.Equal(Math.Sqrt(900 + 25 + 0.25), norms.Total, 1e-5);
        Assert.Equal(30, norms.ByComponent[Component.Ladders], 1e-5);
        Assert.Equal(5, norms.ByComponent[Component.FeedForward], 1e-5);
        Assert.Equal(0.5, norms.ByComponent[Component.Norm], 1e-5);
        Assert.True(norms.IsFinite);
        AssertGradients([[1 / 1.5, 0], [0.6 / 1.5, 0.8 / 1.5], [0.5 / 1.5, 0]], parameters);
    }

    [Theory]
    [InlineData(0, 0, 30, 4, 0.5)]
    [InlineData(10, 0, 10, 4, 0.5)]
    [InlineData(0, 60, 30, 4, 0.5)]
    [InlineData(1000, 1000, 30, 4, 0.5)]
    public void A_norm_of_zero_means_no_limit(double component, double global, double ladder, double feedForward, double norm)
    {
        using var scope = NewDisposeScope();
        var (groups, parameters) = Groups([30, 0], [0, 4], [0.5f, 0]);
        Clip(new GradientClipper(groups, component, global), groups);
        AssertGradients([[ladder, 0], [0, feedForward], [norm, 0]], parameters);
    }

    // Above 1e19 the sum of squares overflows float32, the gradient itself does not.
    [Theory]
    [InlineData(1e3f)]
    [InlineData(1e12f)]
    [InlineData(1e25f)]
    public void A_huge_ladder_gradient_shrinks_the_others_no_more_than_a_clipped_one(float huge)
    {
        using var scope = NewDisposeScope();
        var (groups, parameters) = Groups([huge, 0], [0.3f, 0.4f], [0.25f, 0]);
        var norms = Clip(new GradientClipper(groups, componentNorm: 1, globalNorm: 1), groups);
        Assert.True(norms.IsFinite);
        Assert.InRange(norms.Total / huge, 0.999, 1.001);
        var total = Math.Sqrt(1 + 0.25 + 0.0625);
        AssertGradients([[1 / total, 0], [0.3 / total, 0.4 / total], [0.25 / total, 0]], parameters);
    }

    [Fact]
    public void Clipping_while_the_optimizer_reads_gives_the_bits_of_clipping_before()
    {
        double[][] Update(bool before)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var (groups, parameters) = Groups([30, 0.7f], [3, 4], [0.5f, 0.3f]);
            var gradients = parameters.Select(parameter => parameter.grad!.clone()).ToArray();
            using var optimizer = new AdamW(groups, new TrainingConfig { Steps = 1, TokensPerStep = 1, LearningRate = 0.1, Seed = 1 });
            var clipper = new GradientClipper(groups, componentNorm: 1, globalNorm: 1);
            for (var step = 1; step <= 3; step++)
            {
                foreach (var (parameter, gradient) in parameters.Zip(gradients))
                {
                    parameter.grad!.copy_(gradient * step);
                }

                if (before)
                {
                    Clip(clipper, groups);
                    optimizer.Step(0.1);
                }
                else
                {
                    optimizer.Step(0.1, clipper.Measure().Scales);
                }
            }

            return [.. parameters.Select(parameter => TrainingSamples.Values(parameter))];
        }

        Assert.Equal(Update(before: true), Update(before: false));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Gradients_that_are_not_finite_are_reported_and_left_alone(float bad)
    {
        using var scope = NewDisposeScope();
        var (groups, parameters) = Groups([bad, 0], [3, 4], [7, 0]);
        Assert.False(Clip(new GradientClipper(groups, 1, 1), groups).IsFinite);
        Assert.Equal([3, 4], TrainingSamples.Values(parameters[1].grad!));
        Assert.Equal([7, 0], TrainingSamples.Values(parameters[2].grad!));
    }

    [Fact]
    public void Frozen_parameters_do_not_count()
    {
        using var scope = NewDisposeScope();
        var (groups, parameters) = Groups([30, 0], [3, 4], [0, 0]);
        parameters[0].grad = null;
        Assert.Equal(5, Clip(new GradientClipper(groups, 0, 0), groups).Total, 1e-5);
        parameters[1].grad = null;
        parameters[2].grad = null;
        Assert.Equal(0, Clip(new GradientClipper(groups, 1, 1), groups).Total);
    }

    [Theory]
    [InlineData("f")]
    [InlineData("fu")]
    [InlineData("fa")]
    public void Every_parameter_of_a_model_is_in_one_group(string variant)
    {
        using var model = new LanguageModel(TrainingSamples.Model(variant));
        var groups = ComponentGroup.Of(model);
        Assert.Equal(model.named_parameters().Select(entry => entry.name).Order(), groups.SelectMany(group => group.Parameters).Select(entry => entry.Name).Order());
        Assert.Equal(groups.Count, groups.Select(group => (group.Component, group.Layer)).Distinct().Count());
        var ladders = groups.Where(group => group.Component == Component.Ladders).ToArray();
        Assert.Equal([0, 1], ladders.Select(group => group.Layer!.Value).Order());
        Assert.All(ladders.SelectMany(group => group.Parameters), entry => Assert.Contains(".levels.", entry.Name, StringComparison.Ordinal));
        Assert.DoesNotContain(groups.Where(group => group.Component != Component.Ladders).SelectMany(group => group.Parameters), entry => entry.Name.Contains(".levels.", StringComparison.Ordinal));
        Assert.Equal(["position_embedding", "token_embedding"], groups.Single(group => group.Component == Component.Embedding).Parameters.Select(entry => entry.Name).Order());
        Assert.Null(groups.Single(group => group.Component == Component.Norm && group.Parameters.Any(entry => entry.Name == "final_norm.weight")).Layer);
    }

    // What the optimizer does on the way.
    private static GradientNorms Clip(GradientClipper clipper, IReadOnlyList<ComponentGroup> groups)
    {
        using var quiet = no_grad();
        var clip = clipper.Measure();
        foreach (var (name, parameter) in groups.SelectMany(group => group.Parameters))
        {
            if (clip.Scales.TryGetValue(name, out var scale))
            {
                parameter.grad!.mul_(scale);
            }
        }

        return clip.Norms;
    }

    private static (IReadOnlyList<ComponentGroup> Groups, Parameter[] Parameters) Groups(float[] ladders, float[] feedForward, float[] norm)
    {
        Parameter Of(float[] gradient) => new(zeros(2)) { grad = tensor(gradient) };
        Parameter[] parameters = [Of(ladders), Of(feedForward), Of(norm)];
        return (
            [
                new ComponentGroup(Component.Ladders, 0, [("ladders", parameters[0])]),
                new ComponentGroup(Component.FeedForward, 0, [("feed_forward", parameters[1])]),
                new ComponentGroup(Component.Norm, 0, [("norm", parameters[2])]),
            ],
            parameters);
    }

    private static void AssertGradients(double[][] expected, Parameter[] parameters)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.All(TrainingSamples.Values(parameters[i].grad!).Zip(expected[i]), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, OneRounding * Math.Max(1, pair.Second)));
        }
    }
}
