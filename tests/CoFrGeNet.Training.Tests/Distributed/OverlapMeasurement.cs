using System.Diagnostics;
using CoFrGeNet.Configuration;
using CoFrGeNet.Text;

namespace CoFrGeNet.Training.Tests.Distributed;

/// <summary>
/// How much of the sending of gradients hides behind the backward pass, on an imitated slow link. Depends on the machine being quiet, so it runs only when asked for:
/// <c>CoFrGeNet.Training.Tests -class "*OverlapMeasurement" -explicit only -showLiveOutput</c>.
/// </summary>
public class OverlapMeasurement
{
    private const int Steps = 12;

    [Theory(Explicit = true)]
    [InlineData("", Sharding.None, 0.25, 0.7)]
    [InlineData("fu", Sharding.None, 0.25, 0.7)]
    // The gather of the weights comes after the update and is never hidden: 69 and 72 % were seen.
    [InlineData("fu", Sharding.Optimizer, 0.25, 0.65)]
    // Nearly as long as the backward pass itself, of which the last block, the embedding, is never hidden.
    [InlineData("", Sharding.None, 0.5, 0.5)]
    [InlineData("fu", Sharding.None, 0.5, 0.5)]
    public void Most_of_the_sending_is_hidden(string variant, Sharding sharding, double shareOfStep, double least)
    {
        var config = Config(variant, sharding);
        var text = Text(config);
        double SecondsAStep(double bytesPerSecond, out CommunicationTime time)
        {
            var link = new ThreadLink(2) { BytesPerSecond = bytesPerSecond };
            var outcomes = link.Run(ranks =>
            {
                var (clock, steps) = (Stopwatch.StartNew(), new List<double>());
                var observer = new RecordingObserver
                {
                    AfterStep = _ =>
                    {
                        steps.Add(clock.Elapsed.TotalSeconds);
                        clock.Restart();
                    },
                };
                using var trainer = new Trainer(config, text, observer: observer, ranks: ranks);
                trainer.Run(2, CancellationToken.None);
                var before = trainer.Communication!;
                trainer.Run(2 + Steps, CancellationToken.None);
                var after = trainer.Communication!;
                return (Seconds: steps.Skip(2).Order().ElementAt(Steps / 2), Time: new CommunicationTime(after.Sending - before.Sending, after.Waiting - before.Waiting));
            });
            time = outcomes[0].Time;
            return outcomes[0].Seconds;
        }

        // So slow that the gradients of a step travel for the given share of it.
        var free = SecondsAStep(double.PositiveInfinity, out _);
        var bytes = 4.0 * Accounting.ParameterCount.Of(config.Model).Total;
        var slow = SecondsAStep(bytes / (shareOfStep * free), out var sent);
        TestContext.Current.TestOutputHelper!.WriteLine(FormattableString.Invariant(
            $"tiny{(variant.Length > 0 ? "-" : "")}{variant}, {sharding}: {bytes / 1e6:F2} MB a step, {free * 1000:F1} ms a step on a free link, {slow * 1000:F1} ms on one of {bytes / (shareOfStep * free) / 1e6:F1} MB/s; sending {sent.Sending.TotalMilliseconds / Steps:F1} ms a step, waiting {sent.Waiting.TotalMilliseconds / Steps:F1} ms: {sent.HiddenShare:P0} hidden"));
        Assert.True(sent.HiddenShare > least, $"{sent.HiddenShare}");
    }

    private static RunConfig Config(string variant, Sharding sharding) => new()
    {
        Model = PresetLibrary.Get(variant.Length == 0 ? "tiny" : $"tiny-{variant}").Model,
        Training = new TrainingConfig
        {
            Steps = 100,
            TokensPerStep = 32 * 128,
            SequenceLength = 128,
            EvaluateEvery = 1000,
            CheckpointEvery = 1000,
            Distributed = new DistributedConfig { Sharding = sharding, BucketMegabytes = 0.1 },
        },
    };

    private static TextData Text(RunConfig config)
    {
        var documents = new Document("sample", string.Concat(Enumerable.Range(0, 8000).Select(i => $"Line {i} says that {i * 7 % 13} follows {i * 5 % 11}.\n")));
        var tokens = TokenizedCorpus.Create([documents], ByteTokenizer.Instance);
        Assert.True(tokens.Count > config.Training.TokensPerStep);
        return new TextData(tokens, tokens, ByteTokenizer.Instance, "a sample");
    }
}
