using CoFrGeNet.Tests;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.Distributed;

/// <summary>Ranks as threads of this process; tests/CoFrGeNet.Cli.Tests/Distributed has them as processes under mpirun.</summary>
public class DataParallelTests
{
    private const int Sequences = 8;

    public static TheoryData<string, int, Sharding> Kinds
    {
        get
        {
            var all = new TheoryData<string, int, Sharding>();
            foreach (var variant in new[] { "", "f", "a", "fu" })
            {
                all.Add(variant, 2, Sharding.None);
                all.Add(variant, 4, Sharding.Optimizer);
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Several_ranks_train_as_one_process_does(string variant, int size, Sharding sharding)
    {
        // Several passes a rank, blocks computed again, a ladder schedule, small buckets: all at once.
        var config = Config(variant, sharding);
        var alone = Train(config, RankGroup.Single);
        var together = new ThreadLink(size).Run(ranks => Train(config, ranks));
        foreach (var rank in together)
        {
            // Sums of float32 in another order; the bound over these steps.
            Assert.All(alone.Losses.Zip(rank.Losses), pair => Assert.Equal(1, pair.Second / pair.First, 1e-6));
            Assert.All(alone.Norms.Zip(rank.Norms), pair => Assert.Equal(1, pair.Second / pair.First, 1e-4));
            Assert.Equal(alone.Validation, rank.Validation, 1e-5);
            Assert.Equal(together[0].Losses, rank.Losses);
            TrainingSamples.AssertSameWeights(together[0].Weights, rank.Weights);
        }
    }

    [Fact]
    public void Sharding_changes_no_bit_but_those_of_norms()
    {
        // Without clipping no norm enters the weights.
        RunConfig Unclipped(Sharding sharding) => Config("fa", sharding, training => training with { ClipNorm = 0, ComponentClipNorm = 0 });
        var whole = new ThreadLink(4).Run(ranks => Train(Unclipped(Sharding.None), ranks));
        var sharded = new ThreadLink(4).Run(ranks => Train(Unclipped(Sharding.Optimizer), ranks));
        Assert.Equal(whole[0].Losses, sharded[0].Losses);
        TrainingSamples.AssertSameWeights(whole[0].Weights, sharded[3].Weights);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Each_rank_holds_its_share_of_the_optimizer(int size)
    {
        var whole = Train(Config("fa", Sharding.None), RankGroup.Single).OptimizerBytes;
        var parts = new ThreadLink(size).Run(ranks => Train(Config("fa", Sharding.Optimizer), ranks).OptimizerBytes);
        Assert.All(parts, part => Assert.InRange(part, 0.9 * whole / size, 1.1 * whole / size));
        // Nothing twice and nothing nowhere.
        Assert.Equal(whole, parts.Sum());
    }

    [Theory]
    [InlineData(Sharding.None)]
    [InlineData(Sharding.Optimizer)]
    public void A_checkpoint_of_four_ranks_goes_on_with_any_number(Sharding sharding)
    {
        using var folder = new TemporaryFolder();
        var config = Config("fa", sharding);
        var straight = new ThreadLink(4).Run(ranks => Train(config, ranks))[0].Losses;
        var run = TrainingSamples.Folder(folder, config);
        new ThreadLink(4).Run(ranks => Train(config, ranks, ranks.IsFirst ? run : null, until: 6));
        foreach (var size in new[] { 1, 2, 4 })
        {
            var copy = Copy(run, folder.File($"copy{size}"));
            var resumed = size == 1 ? [Resume(config, RankGroup.Single, copy)] : new ThreadLink(size).Run(ranks => Resume(config, ranks, ranks.IsFirst ? copy : null));
            foreach (var losses in resumed)
            {
                Assert.Equal(straight.Count - 6, losses.Count);
                Assert.All(straight.Skip(6).Zip(losses), pair => Assert.Equal(1, pair.Second / pair.First, size == 4 ? 0 : 1e-6));
            }
        }
    }

    [Fact]
    public void Frozen_ladder_levels_are_not_sent()
    {
        var config = Config("f", Sharding.None, training => training with { Distributed = training.Distributed with { BucketMegabytes = 1000 } });
        var link = new ThreadLink(2);
        link.Run(ranks => Train(config, ranks, until: 1));
        using var model = new LanguageModel(config.Model);
        var ladders = model.modules().OfType<ILadderLayer>().Sum(layer => layer.LevelParameters.Sum(level => level.Sum(parameter => parameter.numel())));
        var all = model.parameters().Sum(parameter => parameter.numel());
        // Up to the padding of the few blocks; figures, stops and the like are smaller than 64 values.
        Assert.Equal(all - ladders, Sent(link), 16.0);

        // The first level is trained from step 8 of 16, the second from 12, the third from 14.
        var whole = new ThreadLink(2);
        whole.Run(ranks => Train(config, ranks));
        Assert.Equal((16 * (all - ladders)) + (ladders / 3 * (8 + 4 + 2)), Sent(whole), 16.0 * 16);
    }

    private static double Sent(ThreadLink link) => link.Reduced.Where(entry => entry.Key >= 64).Sum(entry => entry.Key * entry.Value);

    [Fact]
    public void A_rank_that_fails_alone_ends_the_others_by_name()
    {
        var link = new ThreadLink(4) { Timeout = TimeSpan.FromSeconds(1) };
        var outcomes = link.RunAll(ranks =>
        {
            var observer = new RecordingObserver { AfterStep = progress => _ = ranks.Rank == 1 && progress.Step == 3 ? throw new IOException("the disk is full") : 0 };
            using var trainer = new Trainer(Config("f", Sharding.None), TrainingSamples.Text, observer: observer, ranks: ranks);
            return trainer.Run(stop: CancellationToken.None);
        });
        Assert.IsType<IOException>(outcomes[1].Failure);
        Assert.All([outcomes[0], outcomes[2], outcomes[3]], outcome => Assert.Contains("1", Assert.IsType<CommunicationFailedException>(outcome.Failure).Message, StringComparison.Ordinal));
    }

    [Fact]
    public void A_stop_on_one_rank_stops_all_at_the_same_step()
    {
        using var stop = new CancellationTokenSource();
        var steps = new ThreadLink(4).Run(ranks =>
        {
            var observer = new RecordingObserver
            {
                AfterStep = progress =>
                {
                    if (ranks.Rank == 2 && progress.Step == 3)
                    {
                        stop.Cancel();
                    }
                },
            };
            using var trainer = new Trainer(Config("f", Sharding.None), TrainingSamples.Text, observer: observer, ranks: ranks);
            Assert.False(trainer.Run(stop: ranks.Rank == 2 ? stop.Token : CancellationToken.None));
            return trainer.Step;
        });
        Assert.Equal([3, 3, 3, 3], steps);
    }

    [Fact]
    public void Weights_that_drift_apart_are_noticed_before_a_checkpoint()
    {
        using var folder = new TemporaryFolder();
        var config = Config("f", Sharding.None);
        var run = TrainingSamples.Folder(folder, config);
        var outcomes = new ThreadLink(2).RunAll(ranks =>
        {
            using var trainer = new Trainer(config, TrainingSamples.Text, ranks.IsFirst ? run : null, ranks: ranks);
            if (ranks.Rank == 1)
            {
                using var quiet = no_grad();
                trainer.Model.parameters().Last().add_(1e-7f);
            }

            return trainer.Run(2, CancellationToken.None);
        });
        Assert.All(outcomes, outcome => Assert.Contains("The weights of rank 1 on thread 1 are not those of rank 0", outcome.Failure?.Message, StringComparison.Ordinal));
        Assert.Empty(run.Checkpoints.Finished);
    }

    [Fact]
    public void A_checkpoint_that_cannot_be_written_is_the_first_ranks_error_and_ends_all()
    {
        using var folder = new TemporaryFolder();
        var config = Config("fa", Sharding.Optimizer);
        var run = TrainingSamples.Folder(folder, config);
        // A file where the folder of checkpoints should be.
        File.WriteAllText(Path.Combine(run.FullPath, "checkpoints"), "");
        var outcomes = new ThreadLink(2).RunAll(ranks => Train(config, ranks, ranks.IsFirst ? run : null, until: 2));
        Assert.IsType<IOException>(outcomes[0].Failure, exactMatch: false);
        Assert.False(Assert.IsType<RankLeftException>(outcomes[1].Failure).IsUserError);
    }

    [Fact]
    public void Sequences_that_cannot_be_dealt_out_are_refused() => Assert.Contains(
        "allowed is a multiple of 48", Assert.Throws<UserErrorException>(() => Trainer.CheckFit(Config("f", Sharding.None), TrainingSamples.Text, 3)).Message, StringComparison.Ordinal);

    private static RunConfig Config(string variant, Sharding sharding, Func<TrainingConfig, TrainingConfig>? change = null) => TrainingSamples.Run(variant, training =>
    {
        training = training with
        {
            Steps = 16,
            TokensPerStep = Sequences * TrainingSamples.Context,
            MicroBatch = 1,
            CheckpointBlocks = variant == "fu",
            LadderSchedule = LadderSchedule.Dyadic,
            EvaluationTokens = 2 * TrainingSamples.Context,
            Distributed = new DistributedConfig { Sharding = sharding, BucketMegabytes = 0.004 },
        };
        return change?.Invoke(training) ?? training;
    });

    private static Outcome Train(RunConfig config, RankGroup ranks, RunFolder? run = null, int? until = null)
    {
        var observer = new RecordingObserver();
        using var trainer = new Trainer(config, TrainingSamples.Text, run, observer, ranks: ranks);
        trainer.Run(until, CancellationToken.None);
        return new Outcome(
            [.. observer.Losses], [.. observer.Steps.Select(step => step.Norms.Total)], trainer.LastEvaluation?.Loss ?? 0, TrainingSamples.Weights(trainer.Model), trainer.OptimizerBytes);
    }

    private static List<double> Resume(RunConfig config, RankGroup ranks, RunFolder? run)
    {
        var observer = new RecordingObserver();
        using var trainer = new Trainer(config, TrainingSamples.Text, run, observer, ranks: ranks);
        Assert.True(trainer.Resume());
        Assert.Equal(6, trainer.Step);
        trainer.Run(stop: CancellationToken.None);
        return [.. observer.Losses];
    }

    private static RunFolder Copy(RunFolder run, string path)
    {
        foreach (var file in Directory.GetFiles(run.FullPath, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(path, Path.GetRelativePath(run.FullPath, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        return RunFolder.Open(path).Folder;
    }

    private sealed record Outcome(IReadOnlyList<double> Losses, IReadOnlyList<double> Norms, double Validation, Dictionary<string, byte[]> Weights, long OptimizerBytes);
}
