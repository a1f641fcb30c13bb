namespace CoFrGeNet.Evaluation.Tests.Probes;

public class CopyingProbeTests
{
    [Fact]
    public void A_model_that_looks_things_up_copies_and_one_that_does_not_gains_nothing()
    {
        // Induction as such: the token that followed the last two tokens when they came before.
        var induction = new FakeModel(96, (tokens, logits) =>
        {
            logits.Clear();
            for (var i = tokens.Length - 3; i >= 1; i--)
            {
                if (tokens[i] == tokens[^1] && tokens[i - 1] == tokens[^2])
                {
                    logits[tokens[i + 1]] = 50;
                    return;
                }
            }
        });
        var copies = CopyingProbe.Measure(induction, sequences: 20).Random;

        // The second token of a copy is the only one that a bigram cannot foresee, and chance repeats of a bigram mislead now and then.
        Assert.InRange(copies.Accuracy, 29.0 / 31, 30.5 / 31);
        Assert.True(copies.Gain > 4, $"gain {copies.Gain}");

        var blind = CopyingProbe.Measure(FakeModel.Uniform(96), sequences: 5).Random;
        Assert.Equal(Math.Log(257), blind.First, 1e-6);
        Assert.Equal(0, blind.Gain, 1e-9);
    }

    [Fact]
    public void The_same_seed_asks_the_same_and_the_context_must_hold_two_copies()
    {
        Assert.Equal(CopyingProbe.Measure(FakeModel.Hashing(40), sequences: 3), CopyingProbe.Measure(FakeModel.Hashing(40), sequences: 3));
        Assert.NotEqual(CopyingProbe.Measure(FakeModel.Hashing(40), sequences: 3), CopyingProbe.Measure(FakeModel.Hashing(40), sequences: 3, seed: 2));
        Assert.Equal(2, CopyingProbe.Measure(FakeModel.Uniform(6), sequences: 1).Length);
        Assert.Contains("needs 6 or more", Assert.Throws<UserErrorException>(() => CopyingProbe.Measure(FakeModel.Uniform(5))).Message);
    }
}
