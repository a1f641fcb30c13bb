using CoFrGeNet.Configuration;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.Optimization;

public class LadderGradientsTests
{
    [Theory]
    [InlineData(LadderKind.Projected, null)]
    [InlineData(LadderKind.Projected, 1.0)]
    [InlineData(LadderKind.Elementwise, 1.0)]
    public void Norms_are_those_of_single_ladders_and_clipping_bounds_each_alone(LadderKind kind, double? bias)
    {
        using var scope = NewDisposeScope();
        using var ladders = new Ladders(3, new LadderConfig { Count = 2, Depth = 2, Kind = kind, Bias = bias }, ModuleOptions.Default);
        var parameters = ladders.LevelParameters.SelectMany(level => level).ToArray();
        var number = 0;
        foreach (var parameter in parameters)
        {
            parameter.grad = arange(++number, number + parameter.numel(), ScalarType.Float32).reshape(parameter.shape);
        }

        var count = kind == LadderKind.Projected ? 2 : 6;
        double[] Rows(int ladder) => [.. parameters.SelectMany(parameter => TrainingSamples.Values(parameter.grad!).Chunk((int)parameter.numel() / count).ElementAt(ladder))];
        var before = Enumerable.Range(0, count).Select(Rows).ToArray();
        double[] expected = [.. before.Select(row => Math.Sqrt(row.Sum(value => value * value)))];
        var norms = LadderGradients.Norms(ladders);
        Assert.Equal(count, norms.Length);
        // float32 sums of a few squares.
        Assert.All(norms.Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 1e-5 * pair.Second));

        // Between the least and the largest norm: some ladders stay as they were, the others keep their direction.
        var limit = expected.Order().ElementAt(count / 2) * 0.999;
        LadderGradients.Clip(ladders, limit);
        for (var j = 0; j < count; j++)
        {
            var scale = Math.Min(1, limit / expected[j]);
            Assert.All(Rows(j).Zip(before[j]), pair => Assert.Equal(pair.Second * scale, pair.First, 1e-5 * expected[j]));
        }
    }

    [Fact]
    public void A_layer_without_gradients_has_none()
    {
        using var mixer = new CAttnU(4, 4, new CAttnUConfig());
        Assert.Equal([0.0], LadderGradients.Norms(mixer));
        LadderGradients.Clip(mixer, 1);
        Assert.Null(mixer.LevelParameters[0][0].grad);
    }
}
