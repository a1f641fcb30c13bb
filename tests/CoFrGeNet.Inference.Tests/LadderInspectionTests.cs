using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Generation;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Inference.Tests;

/// <summary>Looking at ladders.</summary>
public sealed class LadderInspectionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("f", 7)]
    [InlineData("fu", 7)]
    [InlineData("elementwise", 7 * TinyModel.Width)]
    [InlineData("gpt2", 0)]
    public void Every_output_of_every_layer_is_counted(string name, int ladders)
    {
        using var model = InferenceModel.Load(TinyModel.Write(_folder, name));
        var uses = model.InspectLadders(TinyModel.Tokens(30, 1));
        Assert.Equal(ladders == 0 ? 0 : 2, uses.Count);
        Assert.All(uses, use => Assert.Equal((ladders, 3, ladders * 30L, 0L), (use.Ladders, use.Depth, use.Outputs, use.Clipped)));
        Assert.Equal(Enumerable.Range(0, uses.Count), uses.Select(use => use.Layer));
    }

    [Theory]
    [InlineData("f", 6)]
    [InlineData("elementwise", (3 * TinyModel.Width) + 40)]
    public void A_curve_is_the_continued_fraction_of_its_input_scaled(string name, int ladder)
    {
        var config = TinyModel.Config(name);
        using var model = InferenceModel.Load(TinyModel.Write(_folder, config));
        var tokens = TinyModel.Tokens(50, 2);
        float[] scales = [-2, -0.5f, 0, 0.25f, 1, 3];
        var curve = model.InspectLadder(tokens, 1, ladder, scales);
        var line = model.Look(tokens, new LadderProbe(1, ladder)).Line!;
        var guard = ((CffnConfig)config.Layers.ElementAt(1).FeedForward).Ladders.Guard;
        Assert.Contains(line.Slopes, slope => slope != 0);
        for (var i = 0; i < scales.Length; i++)
        {
            float[] a = [.. line.Slopes.Select((slope, k) => (scales[i] * slope) + line.Biases[k])];
            // The kernels fuse multiplications and additions; the reference does not.
            Assert.Equal(Continuant.Evaluate<float>(a, guard), curve.Values[i], 1e-4f);
        }

        Assert.Equal(curve.Values[4], curve.Here);
        Assert.Null(curve.Low);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.InspectLadder(tokens, 1, 7 * TinyModel.Width, scales));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.InspectLadder(tokens, 2, 0, scales));
    }

    [Theory]
    [MemberData(nameof(TinyModel.Names), MemberType = typeof(TinyModel))]
    public void Scores_depend_neither_on_how_many_are_wanted_nor_on_what_follows(string name)
    {
        using var engine = InferenceModel.Load(TinyModel.Write(_folder, name));
        ILanguageModel model = engine;
        ReadOnlyMemory<int> tokens = TinyModel.Tokens(60, 3);
        var all = new float[60 * TinyModel.Vocabulary];
        model.Forward([tokens], [.. Enumerable.Range(0, 60).Select(i => new TokenPosition(0, i))], all);
        // Around 24 tokens products change from rows to blocks elsewhere.
        foreach (var (length, wanted) in new[] { (59, 3), (30, 1), (24, 24), (23, 5), (5, 2) })
        {
            var some = new float[wanted * TinyModel.Vocabulary];
            model.Forward([tokens[..length]], [.. Enumerable.Range(length - wanted, wanted).Select(i => new TokenPosition(0, i))], some);
            Assert.True(some.AsSpan().SequenceEqual(all.AsSpan((length - wanted) * TinyModel.Vocabulary, some.Length)), $"{wanted} of {length} tokens");
        }
    }
}
