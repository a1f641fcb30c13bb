using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Tests.Accounting;

/// <summary>GPT2-xl (48 x 1600, 25 heads, 1024 positions) with its parts replaced, worked out by hand from PAPER section 2.</summary>
public class Gpt2XlVariantTests
{
    // Token and position embeddings, 97 layer norms.
    private const long Frame = (50257L * 1600) + (1024L * 1600) + (97L * 2 * 1600);

    // 4 p^2 and 4 biases; 8 p^2 and biases of 4 p and p.
    private const long Attention = (4L * 1600 * 1600) + (4L * 1600);
    private const long Mlp = (8L * 1600 * 1600) + (5L * 1600);

    // L = 16, d = 3: 102,400 + 5,120,000.
    private const long Cffn = (16L * 1600 * 4) + (2L * 1600 * 1600);

    // h = 25, L = 16, d = 3.
    private const long CAttnM = (25L * 16 * ((3 * 1600) + 1024)) + (1600L * 1600);

    // d = 2.
    private const long CAttnU = 1024L * (4 + 1024 + 1);

    [Theory]
    [InlineData("gpt2-xl", Frame + (48 * (Attention + Mlp)), 1_557_611_200)]
    [InlineData("gpt2-xl-f", Frame + (48 * (Attention + Cffn)), 824_862_400)]
    [InlineData("gpt2-xl-a", Frame + (48 * (CAttnM + Mlp)), 1_300_484_800)]
    [InlineData("gpt2-xl-u", Frame + (48 * (CAttnU + Mlp)), 1_116_361_408)]
    [InlineData("gpt2-xl-fa", Frame + (48 * (CAttnM + Cffn)), 567_736_000)]
    [InlineData("gpt2-xl-fu", Frame + (48 * (CAttnU + Cffn)), 383_612_608)]
    [InlineData("gpt2-xl-gate", Frame + (48 * (Attention + (2L * 1600 * 1600))), 819_947_200)]
    public void A_variant_has_the_size_that_the_formulas_give(string name, long fromFormulas, long literal)
    {
        Assert.Equal(literal, fromFormulas);
        Assert.Equal(literal, ParameterCount.Of(PresetLibrary.Get(name).Model).Total);
    }

    [Fact]
    public void Parts_stand_where_they_belong()
    {
        var count = ParameterCount.Of(PresetLibrary.Get("gpt2-xl-fa").Model);
        Assert.Equal(48 * CAttnM, count.Mixer);
        Assert.Equal(48 * Cffn, count.FeedForward);
        Assert.Equal(48 * (CAttnM + Cffn + 6400), count.BlockParameters);
        Assert.Equal(0, count.Head);
    }
}
