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
    [InlineData("gpt2", 0, 0, 0)]
    [InlineData("f", 0, 0, 7)]
    [InlineData("elementwise", 0, 0, 7 * TinyModel.Width)]
    [InlineData("a", 15, 2, 0)]
    [InlineData("u", 2 * TinyModel.Width, 1, 0)]
    [InlineData("fu", 2 * TinyModel.Width, 1, 7)]
    public void Every_output_of_every_part_is_counted(string name, int mixers, int mixerDepth, int feedForwards)
    {
        using var model = InferenceModel.Load(TinyModel.Write(_folder, name));
        var expected = Enumerable.Range(0, 2)
            .SelectMany(layer => new[] { new LadderUse(layer, LadderUse.Mixer, mixers, mixerDepth, mixers * 30L, 0), new LadderUse(layer, LadderUse.FeedForward, feedForwards, 3, feedForwards * 30L, 0) })
            .Where(use => use.Ladders > 0);
        Assert.Equal(expected, model.InspectLadders(TinyModel.Tokens(30, 1)));
        Assert.Equal(expected.Any(), model.HasLadders);
    }

    [Theory]
    [InlineData("f", LadderUse.FeedForward, 6, 7)]
    [InlineData("elementwise", LadderUse.FeedForward, (3 * TinyModel.Width) + 40, 7 * TinyModel.Width)]
    [InlineData("a", LadderUse.Mixer, 11, 15)]
    [InlineData("u", LadderUse.Mixer, TinyModel.Width + 5, 2 * TinyModel.Width)]
    public void A_curve_is_the_continued_fraction_of_its_input_scaled(string name, string part, int ladder, int count)
    {
        using var model = InferenceModel.Load(TinyModel.Write(_folder, TinyModel.Config(name)));
        var tokens = TinyModel.Tokens(50, 2);
        float[] scales = [-2, -0.5f, 0, 0.25f, 1, 3];
        var place = new LadderPlace(1, part, ladder);
        var curve = model.InspectLadder(tokens, place, scales);
        var line = model.Look(tokens, new LadderProbe(place)).Line!;
        Assert.Contains(line.Slopes, slope => slope != 0);
        for (var i = 0; i < scales.Length; i++)
        {
            float[] a = [.. line.Slopes.Select((slope, k) => (scales[i] * slope) + line.Biases[k])];
            // The kernels fuse multiplications and additions; the reference does not.
            Assert.Equal(Continuant.Evaluate<float>(a, PoleGuard.Default), curve.Values[i], 1e-4f);
        }

        Assert.Equal(curve.Values[4], curve.Here);
        Assert.Null(curve.Low);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.InspectLadder(tokens, place with { Ladder = count }, scales));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.InspectLadder(tokens, place with { Ladder = -1 }, scales));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.InspectLadder(tokens, place with { Layer = 2 }, scales));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.InspectLadder(tokens, place with { Part = "elsewhere" }, scales));
    }

    [Fact]
    public void Outputs_of_CAttnU_beyond_the_range_of_their_position_are_counted()
    {
        using var free = InferenceModel.Load(TinyModel.Write(_folder, "u"));
        using var folder = new TemporaryFolder();
        using var clipped = InferenceModel.Load(TinyModel.Write(folder, "u-clipped"));
        var tokens = TinyModel.Tokens(12, 4);
        float Output(int ladder) => free.InspectLadder(tokens, new LadderPlace(0, LadderUse.Mixer, ladder), [1]).Here;
        var beyond = Enumerable.Range(0, 2 * TinyModel.Width).Count(ladder => Math.Abs(Output(ladder)) > TinyModel.RangeEnd);
        Assert.InRange(beyond, 1, (2 * TinyModel.Width) - 1);
        // What the last token adds to the count is what its ladders show one by one; the first layer's inputs are not changed by clipping.
        Assert.Equal(beyond, clipped.InspectLadders(tokens)[0].Clipped - clipped.InspectLadders(tokens.AsMemory(0, 11))[0].Clipped);
        Assert.Equal(TinyModel.RangeEnd, clipped.InspectLadder(tokens, new LadderPlace(0, LadderUse.Mixer, 3), [1]).High);
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
