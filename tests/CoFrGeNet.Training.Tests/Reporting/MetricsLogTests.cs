using System.Text.Json;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Reporting;

public class MetricsLogTests
{
    [Fact]
    public void A_resumed_log_drops_what_lies_beyond_the_checkpoint()
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run("f", training => training with { CheckpointEvery = 4, EvaluateEvery = 2 });
        var run = TrainingSamples.Folder(folder, config);
        IReadOnlyList<(long, double)> losses;
        IReadOnlyList<(long, double)> evaluations;
        using (var log = new MetricsLog(run, config, 0))
        {
            using var trainer = new Trainer(config, TrainingSamples.Text, run, log);
            trainer.Train();
            (losses, evaluations) = (log.TrainingLosses, log.ValidationLosses);
        }

        Assert.Equal(8, losses.Count);
        Assert.Equal([128L, 256, 384, 512], evaluations.Select(point => point.Item1));

        // The last line of a killed run is cut.
        File.AppendAllText(run.MetricsFile, "{\"step\":8,\"lo");
        using (var log = new MetricsLog(run, config, 4))
        {
            Assert.Equal(losses.Take(4), log.TrainingLosses);
            Assert.Equal(evaluations.Take(2), log.ValidationLosses);
        }

        Assert.All(Lines(run), line => Assert.InRange(line.GetProperty("step").GetInt32(), 0, 4));
        Assert.Equal(4, Lines(run).Count(line => line.TryGetProperty("loss", out _)));
    }

    [Fact]
    public void A_line_holds_what_is_known_after_a_step()
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run("f", training => training with { LogEvery = 3, LadderSchedule = LadderSchedule.Dyadic });
        var run = TrainingSamples.Folder(folder, config);
        var observer = new RecordingObserver();
        using (var log = new MetricsLog(run, config, 0))
        {
            using var trainer = new Trainer(config, TrainingSamples.Text, run, log);
            trainer.Train();
            log.OnStep(new TrainingProgress(9, 9, 576, 1, 0.1, 5, new GradientNorms(double.PositiveInfinity, new Dictionary<Component, double>()), null, []));
        }

        // Every third step and the last; one object a line, none with an infinity in it.
        var steps = Lines(run).Where(line => line.TryGetProperty("loss", out _)).ToArray();
        Assert.Equal([3, 6, 8, 9], steps.Select(line => line.GetProperty("step").GetInt32()));
        Assert.Equal(3 * 64, steps[0].GetProperty("tokens").GetInt64());
        Assert.True(steps[0].GetProperty("gradientNorms").GetProperty("feedForward").GetDouble() > 0);
        Assert.Equal(2, steps[0].GetProperty("poles").GetArrayLength());
        Assert.Equal(2, steps[1].GetProperty("activeLevels").GetInt32() + 1);
        Assert.Equal(3, steps[1].GetProperty("levels").GetInt32());
        Assert.False(steps[3].TryGetProperty("gradientNorm", out _));
        var evaluation = Assert.Single(Lines(run), line => line.TryGetProperty("validationLoss", out _));
        Assert.Equal(Math.Exp(evaluation.GetProperty("validationLoss").GetDouble()), evaluation.GetProperty("perplexity").GetDouble(), 1e-9);
        Assert.NotEmpty(Directory.GetFiles(run.TensorBoardFolder, "*tfevents*"));
    }

    [Fact]
    public void A_skipped_step_has_a_line_also_between_logged_ones()
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run("f", training => training with { LogEvery = 100 });
        var run = TrainingSamples.Folder(folder, config);
        using (var log = new MetricsLog(run, config, 0))
        {
            var step = new TrainingProgress(3, 8, 192, 7.5, 0.1, 5, new GradientNorms(40, new Dictionary<Component, double>()), null, []);
            log.OnStep(step);
            log.OnStep(step with { Step = 4, Skipped = "the loss 7.5 is too much" });
        }

        var line = Assert.Single(Lines(run));
        Assert.Equal((4, "the loss 7.5 is too much", 40.0), (line.GetProperty("step").GetInt32(), line.GetProperty("skipped").GetString(), line.GetProperty("gradientNorm").GetDouble()));
    }

    [Fact]
    public void An_evaluation_that_gave_no_number_is_no_point_of_the_curve()
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run();
        var run = TrainingSamples.Folder(folder, config);
        using var log = new MetricsLog(run, config, 0);
        log.OnEvaluation(1, new EvaluationResult(double.NaN, 1, 10));
        log.OnEvaluation(2, new EvaluationResult(800, 1, 10));
        Assert.Equal([(128L, 800.0)], log.ValidationLosses);
        Assert.False(Lines(run)[1].TryGetProperty("perplexity", out _));
    }

    [Fact]
    public void A_picture_of_the_losses_is_written()
    {
        using var folder = new TemporaryFolder();
        var file = folder.File("loss.png");
        LossCurve.SavePng(file, "losses", [new("training", [(1, 5.0), (1000, 3.0)], Dashed: true), new("validation", [(1000, 3.1)]), new("empty", [])]);
        Assert.Equal("\u0089PNG"u8[^3..].ToArray(), File.ReadAllBytes(file)[1..4]);
    }

    private static JsonElement[] Lines(RunFolder run) => [.. File.ReadAllLines(run.MetricsFile).Select(line => JsonDocument.Parse(line).RootElement)];
}
