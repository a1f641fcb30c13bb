using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests;

public class EvaluationTests
{
    [Fact]
    public void Bits_per_byte_and_perplexity_follow_from_the_loss()
    {
        // ln 4 nats a token are 2 bits a token; 0.25 tokens a byte make that half a bit a byte.
        var result = new EvaluationResult(Math.Log(4), 0.25, 100);
        Assert.Equal(0.5, result.BitsPerByte, 1e-15);
        Assert.Equal(4, result.Perplexity, 1e-14);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_loss_is_the_mean_over_windows_and_the_mode_comes_back(bool training)
    {
        using var scope = NewDisposeScope();
        using var model = new LanguageModel(TrainingSamples.Model("f"));
        model.train(training);
        var text = TrainingSamples.Corpus(string.Concat(Enumerable.Repeat("abcdefg ", 20)));
        var before = TrainingSamples.Weights(model);
        var result = Evaluation.Run(model, text, TrainingSamples.Context, 5 * TrainingSamples.Context);
        Assert.Equal(training, model.training);
        Assert.All(model.modules(), module => Assert.Equal(training, module.training));

        // Not even the ranges of ladder outputs change.
        TrainingSamples.AssertSameWeights(before, TrainingSamples.Weights(model));
        Assert.Equal(5 * TrainingSamples.Context, result.Tokens);
        Assert.Equal(161.0 / 160, result.TokensPerByte);
        model.eval();
        var source = new BatchSource(text, TrainingSamples.Context, "validation");
        Assert.Equal(10, source.WindowCount);
        var losses = new long[] { 0, 2, 4, 6, 8 }.Select(window =>
        {
            var (inputs, targets) = source.Batch([window], CPU);
            return model.Loss(inputs, targets).item<float>();
        });

        // The same mean in another order of float32 sums.
        Assert.Equal(losses.Average(), result.Loss, 1e-5);
    }

    [Fact]
    public void A_text_shorter_than_the_limit_is_read_once()
    {
        using var model = new LanguageModel(TrainingSamples.Model());
        Assert.Equal(2 * TrainingSamples.Context, Evaluation.Run(model, TrainingSamples.Corpus(new string('a', 40)), TrainingSamples.Context, 1_000_000).Tokens);
    }

    [Fact]
    public void The_mode_comes_back_after_a_failure_too()
    {
        using var model = new LanguageModel(TrainingSamples.Model() with { ContextLength = 4 });
        Assert.Throws<UserErrorException>(() => Evaluation.Run(model, TrainingSamples.Corpus("abcdefghi"), 5, 100));
        Assert.True(model.training);
    }

    [Fact]
    public void Many_windows_are_read_in_several_passes()
    {
        using var model = new LanguageModel(TrainingSamples.Model());

        // 16,384 tokens a pass: 1,100 windows of 16 are two passes, the second one shorter.
        var result = Evaluation.Run(model, TrainingSamples.Corpus(new string('a', 1101 * TrainingSamples.Context)), TrainingSamples.Context, 1100 * TrainingSamples.Context);
        var one = Evaluation.Run(model, TrainingSamples.Corpus(new string('a', 20)), TrainingSamples.Context, TrainingSamples.Context);
        Assert.Equal(1100 * TrainingSamples.Context, result.Tokens);

        // All windows are alike; a mean over 1,024 of them in float32.
        Assert.Equal(one.Loss, result.Loss, 1e-5);
    }
}
