namespace CoFrGeNet.Training.Tests.Optimization;

public class LearningRateScheduleTests
{
    // Peak 1, minimum 0.1, 10 steps of warm-up, 100 steps.
    [Theory]
    [InlineData(LearningRateShape.Cosine, 0, 0.1)]
    [InlineData(LearningRateShape.Cosine, 4, 0.5)]
    [InlineData(LearningRateShape.Cosine, 9, 1)]
    [InlineData(LearningRateShape.Cosine, 10, 1)]
    [InlineData(LearningRateShape.Cosine, 40, 0.775)]
    [InlineData(LearningRateShape.Cosine, 55, 0.55)]
    [InlineData(LearningRateShape.Cosine, 70, 0.325)]
    [InlineData(LearningRateShape.Cosine, 99, 0.1002741278)]
    [InlineData(LearningRateShape.Cosine, 100, 0.1)]
    [InlineData(LearningRateShape.Cosine, 100000, 0.1)]
    [InlineData(LearningRateShape.Constant, 4, 0.5)]
    [InlineData(LearningRateShape.Constant, 10, 1)]
    [InlineData(LearningRateShape.Constant, 99, 1)]
    [InlineData(LearningRateShape.Wsd, 0, 0.1)]
    [InlineData(LearningRateShape.Wsd, 50, 1)]
    [InlineData(LearningRateShape.Wsd, 80, 1)]
    [InlineData(LearningRateShape.Wsd, 85, 0.775)]
    [InlineData(LearningRateShape.Wsd, 90, 0.55)]
    [InlineData(LearningRateShape.Wsd, 99, 0.145)]
    [InlineData(LearningRateShape.Wsd, 100, 0.1)]
    public void Every_shape_has_its_values(LearningRateShape shape, int step, double expected)
    {
        var schedule = new LearningRateSchedule(new TrainingConfig { Steps = 100, LearningRate = 1, WarmupSteps = 10, Schedule = shape });

        // The literals have ten digits.
        Assert.Equal(expected, schedule.At(step), 1e-10);
    }

    [Theory]
    [InlineData(0.9, 10, 1)]
    [InlineData(0.9, 55, 0.55)]
    [InlineData(0, 99, 1)]
    [InlineData(1, 50, 0.55)]
    public void The_decay_takes_its_share_of_the_steps(double share, int step, double expected)
    {
        var schedule = new LearningRateSchedule(new TrainingConfig { Steps = 100, LearningRate = 1, WarmupSteps = 0, Schedule = LearningRateShape.Wsd, DecayShare = share });
        Assert.Equal(expected, schedule.At(step), 1e-10);
    }

    [Theory]
    [InlineData(1000, 166)]
    [InlineData(39, 6)]
    [InlineData(1, 1)]
    [InlineData(100000, 500)]
    public void The_warm_up_is_a_sixth_of_the_steps_and_500_at_most(int steps, int warmup)
    {
        var config = new TrainingConfig { Steps = steps, LearningRate = 1 };
        Assert.Equal(warmup, config.ResolveWarmupSteps());
        Assert.Equal(1.0 / warmup, new LearningRateSchedule(config).At(0), 1e-15);
        Assert.Equal(1, new LearningRateSchedule(config).At(warmup - 1), 1e-15);
    }
}
