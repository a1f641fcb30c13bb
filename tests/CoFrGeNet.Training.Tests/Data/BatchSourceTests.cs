using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.Data;

public class BatchSourceTests
{
    [Fact]
    public void Windows_start_at_multiples_of_the_length_and_targets_are_one_ahead()
    {
        using var scope = NewDisposeScope();
        var source = new BatchSource(TrainingSamples.Corpus("abcdefghij"), 3, "training");

        // 10 bytes and the end of the text are 11 tokens: three windows of 3 and one token for the last target.
        Assert.Equal(3, source.WindowCount);
        var (inputs, targets) = source.Batch([2, 0], CPU);
        Assert.Equal([2, 3], inputs.shape);
        Assert.Equal(ScalarType.Int64, inputs.dtype);
        Assert.Equal("ghiabc", Letters(inputs));
        Assert.Equal("hijbcd", Letters(targets));
    }

    [Theory]
    [InlineData(9, 1)]
    [InlineData(8, 1)]
    [InlineData(5, 1)]
    [InlineData(3, 3)]
    [InlineData(1, 9)]
    public void The_last_window_needs_a_target_too(int length, int windows)
    {
        using var scope = NewDisposeScope();

        // 9 bytes and the end of the text.
        var source = new BatchSource(TrainingSamples.Corpus("abcdefghi"), length, "training");
        Assert.Equal(windows, source.WindowCount);
        var (_, targets) = source.Batch([windows - 1], CPU);
        Assert.Equal(length, targets.shape[1]);
    }

    [Fact]
    public void Too_short_a_text_is_the_users_mistake()
    {
        var error = Assert.Throws<UserErrorException>(() => new BatchSource(TrainingSamples.Corpus("abc"), 4, "validation"));
        Assert.Contains("validation text has 4 tokens; one sequence needs 5", error.Message, StringComparison.Ordinal);
    }

    private static string Letters(Tensor ids) => string.Concat(ids.data<long>().ToArray().Select(id => (char)id));
}
