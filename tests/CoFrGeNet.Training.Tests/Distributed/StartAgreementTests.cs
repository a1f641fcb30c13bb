namespace CoFrGeNet.Training.Tests.Distributed;

public class StartAgreementTests
{
    [Fact]
    public void Equal_ranks_may_start() => Assert.Equal([true, true, true], new ThreadLink(3).Run(ranks =>
    {
        StartAgreement.Require(ranks, TrainingSamples.Run(), TrainingSamples.Text, "cpu");
        return true;
    }));

    [Theory]
    [InlineData("configuration", "training.learningRate is 0.002 on rank 0 on thread 0 and 0.5 on rank 2 on thread 2")]
    [InlineData("text", "the training text (hash) is")]
    [InlineData("device", "the device is cpu on rank 0 on thread 0 and cuda on rank 2 on thread 2")]
    [InlineData("absent", "training.microBatch is absent on rank 0 on thread 0 and 2 on rank 2 on thread 2")]
    public void What_differs_is_named_by_the_first_rank_alone(string what, string message)
    {
        var outcomes = new ThreadLink(3).RunAll(ranks =>
        {
            var isOther = ranks.Rank == 2;
            var config = TrainingSamples.Run("f", training => (isOther ? what : "") switch
            {
                "configuration" => training with { LearningRate = 0.5 },
                "absent" => training with { MicroBatch = 2 },
                _ => training,
            });
            var text = isOther && what == "text" ? TrainingSamples.Data(string.Concat(Enumerable.Repeat("another text altogether. ", 40))) : TrainingSamples.Text;
            StartAgreement.Require(ranks, config, text, isOther && what == "device" ? "cuda" : "cpu");
            return true;
        });
        Assert.Contains(message, Assert.IsType<UserErrorException>(outcomes[0].Failure).Message, StringComparison.Ordinal);
        Assert.All(outcomes.Skip(1), outcome => Assert.True(Assert.IsType<RankLeftException>(outcome.Failure).IsUserError));
    }

    [Fact]
    public void An_error_of_one_rank_is_told_by_that_one_and_an_equal_one_once()
    {
        IReadOnlyList<Exception?> Fail(Func<int, bool> fails) =>
            [.. new ThreadLink(3).RunAll(ranks =>
            {
                ranks.Together(() => _ = fails(ranks.Rank) ? throw new UserErrorException("no such file") : 0);
                return true;
            }).Select(outcome => outcome.Failure)];

        var one = Fail(rank => rank == 1);
        Assert.IsType<UserErrorException>(one[1]);
        Assert.All([one[0], one[2]], error => Assert.IsType<RankLeftException>(error));
        var all = Fail(_ => true);
        Assert.IsType<UserErrorException>(all[0]);
        Assert.All([all[1], all[2]], error => Assert.IsType<RankLeftException>(error));
    }

    [Fact]
    public void Texts_of_all_ranks_arrive_whole()
    {
        var texts = new[] { "", "zwei: \u00e4\u6f22", new string('x', 10_000) };
        var gathered = new ThreadLink(3).Run(ranks => (All: ranks.Gather(texts[ranks.Rank]), First: ranks.Broadcast(ranks.IsFirst ? "from the first" : "")));
        Assert.All(gathered, rank => Assert.Equal(texts, rank.All));
        Assert.All(gathered, rank => Assert.Equal("from the first", rank.First));
    }
}
