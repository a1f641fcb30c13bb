using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Comparison;

public sealed class StudyTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_grid_comes_first_and_the_best_rate_of_each_arm_goes_to_the_other_seeds()
    {
        var plan = Plan();
        var runner = Runner(plan);
        var keys = RunAll(runner);
        Assert.Equal(
            ["gate-lr0.001-seed1", "both-lr0.001-seed1", "gate-lr0.01-seed1", "both-lr0.01-seed1"],
            keys.Take(4).Select(key => key.ToString()));
        Assert.Equal(plan.RunCount, keys.Count);
        Assert.True(runner.Results.Complete);
        foreach (var arm in runner.Results.Arms)
        {
            var grid = runner.Results.Runs.Where(run => run.Arm == arm.Name && run.Seed == 1).ToArray();
            Assert.Equal(grid.MinBy(run => run.ValidationLoss)!.LearningRate, arm.LearningRate);
            var best = runner.Results.Runs.Where(run => run.Arm == arm.Name && run.LearningRate.Equals(arm.LearningRate)).Select(run => run.ValidationLoss!.Value).ToArray();
            Assert.Equal([1, 2, 3], arm.Seeds);
            Assert.Equal(best.Average(), arm.MeanLoss!.Value, 1e-12);
            Assert.Equal(Math.Sqrt(best.Sum(loss => Math.Pow(loss - best.Average(), 2)) / 2), arm.Spread!.Value, 1e-12);
        }

        // The document compares seed by seed.
        double Loss(string arm, int seed) => runner.Results.Find(new StudyRunKey(arm, seed, runner.Results.BestRate(plan, arm)!.Value))!.ValidationLoss!.Value;
        var difference = plan.Config.Seeds.Average(seed => Loss("both", seed) - Loss("gate", seed));
        Assert.Contains(FormattableString.Invariant($"| {difference:+0.0000;-0.0000} ± "), StudyReport.Document(plan, runner.Results, null, "cofrgenet study"), StringComparison.Ordinal);
    }

    [Fact]
    public void With_one_rate_there_is_nothing_to_wait_for_and_all_seeds_can_be_claimed_at_once()
    {
        var plan = Plan(study => study["learningRates"] = new JsonArray(0.01));
        var runner = Runner(plan);
        using var first = runner.Claim([])!;
        using var second = runner.Claim([])!;
        using var third = runner.Claim([])!;
        Assert.Equal(["gate-lr0.01-seed1", "both-lr0.01-seed1", "gate-lr0.01-seed2"], new[] { first, second, third }.Select(claim => claim.Key.ToString()));
        Assert.Null(runner.Results.Arms[0].MeanLoss);
        Assert.False(runner.Results.Complete);
    }

    [Fact]
    public void What_is_recorded_is_not_run_again_even_where_the_run_folders_are_gone()
    {
        RunAll(Runner(Plan()));
        var before = File.ReadAllText(ResultsFile);
        Directory.Delete(_folder.File("work"), recursive: true);
        var again = Runner(Plan());
        Assert.Null(again.Next([]));
        again.Results.Save(ResultsFile);
        Assert.Equal(before, File.ReadAllText(ResultsFile));
    }

    [Fact]
    public void Models_that_runs_left_are_measured_again_and_nothing_else_of_the_runs_changes()
    {
        RunAll(Runner(Plan()));
        var measured = File.ReadAllText(ResultsFile);
        var results = JsonNode.Parse(measured)!;
        var spoilt = results["runs"]!.AsArray().First(run => (string)run!["arm"]! == "both")!;
        spoilt["validationLoss"] = 99.5;
        File.WriteAllText(ResultsFile, results.ToJsonString());
        var runner = Runner(Plan());
        Assert.Equal(runner.Results.Runs.Count, runner.MeasureAgain(TestContext.Current.CancellationToken));
        foreach (var before in JsonNode.Parse(measured)!["runs"]!.AsArray())
        {
            var after = runner.Results.Find(new StudyRunKey((string)before!["arm"]!, (int)before["seed"]!, (double)before["learningRate"]!))!;
            // The same model on the same tokens.
            Assert.Equal((double)before["validationLoss"]!, after.ValidationLoss!.Value);
            Assert.Equal((double?)before["maxGradientNorm"], after.MaxGradientNorm);
            Assert.Equal((double)before["validationLoss"]!, Assert.Single(after.ValidationCurve).Loss);
        }

        // A model that is gone keeps its result.
        Directory.Delete(_folder.File("work"), recursive: true);
        Assert.Equal(0, Runner(Plan()).MeasureAgain(TestContext.Current.CancellationToken));
    }

    [Fact]
    public void A_stopped_run_goes_on_to_the_very_result_of_one_that_was_not()
    {
        var plan = Plan();
        var key = new StudyRunKey("both", 1, 0.001);
        var whole = Runner(plan, "whole").Run(key, null, TestContext.Current.CancellationToken)!;
        File.Delete(ResultsFile);

        using var stop = new CancellationTokenSource();
        var stopping = new RecordingObserver
        {
            AfterStep = progress =>
            {
                if (progress.Step == 7)
                {
                    stop.Cancel();
                }
            },
        };
        Assert.Null(Runner(plan).Run(key, stopping, stop.Token));
        Assert.False(File.Exists(ResultsFile));
        var messages = new RecordingObserver();
        var resumed = Runner(plan).Run(key, messages, TestContext.Current.CancellationToken)!;
        Assert.Equal(8, messages.Steps[0].Step);
        Assert.Equal(whole.ValidationLoss, resumed.ValidationLoss);
        Assert.Equal(whole.TrainingCurve, resumed.TrainingCurve);
        Assert.True(resumed.Resumed);
        Assert.False(whole.Resumed);
    }

    [Fact]
    public void Two_at_one_study_share_the_runs_and_lose_none()
    {
        var plan = Plan();
        StudyRunner first = Runner(plan), second = Runner(plan);
        using (var one = first.Claim([])!)
        {
            using var two = second.Claim([])!;
            Assert.Equal(["gate-lr0.001-seed1", "both-lr0.001-seed1"], [one.Key.ToString(), two.Key.ToString()]);
            Assert.Equal("gate-lr0.01-seed1", Claimed(Runner(plan)));
            Assert.Null(Runner(plan).Claim(["none of them"]));
            Assert.NotNull(second.Run(two.Key, null, TestContext.Current.CancellationToken));
            // Recorded after the other's, which it has not read.
            Assert.NotNull(first.Run(one.Key, null, TestContext.Current.CancellationToken));
        }

        var third = first.Claim([])!;
        Assert.Equal("gate-lr0.01-seed1", third.Key.ToString());
        using (var fourth = second.Claim([])!)
        {
            // The grid's last run is being done: its arms' other seeds are not known yet, and nothing is free.
            Assert.Equal("both-lr0.01-seed1", fourth.Key.ToString());
            Assert.Null(Runner(plan).Claim([]));
            Assert.NotNull(Runner(plan).Next([]));
        }

        // A process that ended without a result lets go of its run.
        Assert.Equal("both-lr0.01-seed1", Claimed(Runner(plan)));
        third.Dispose();
        var all = Runner(plan);
        while (all.Claim([]) is { } claim)
        {
            using (claim)
            {
                all.Run(claim.Key, null, TestContext.Current.CancellationToken);
            }
        }

        Assert.True(all.Results.Complete);
        Assert.Equal(plan.RunCount, all.Results.Runs.Select(run => run.Key).Distinct().Count());
    }

    [Fact]
    public void A_run_that_diverges_is_recorded_and_never_chosen()
    {
        var plan = Plan(study => study["learningRates"] = new JsonArray(1e30, 0.001));
        var runner = Runner(plan);
        RunAll(runner);
        Assert.True(runner.Results.Complete);
        Assert.All(runner.Results.Runs.Where(run => run.LearningRate > 1), run =>
        {
            Assert.NotNull(run.Failure);
            Assert.Null(run.ValidationLoss);
        });
        Assert.All(runner.Results.Arms, arm => Assert.Equal(0.001, arm.LearningRate));
        Assert.Contains("| gate | 1 | 1E+30 | failed: ", StudyReport.Document(plan, runner.Results, null, "cofrgenet study"), StringComparison.Ordinal);
    }

    // Two arms at two rates; or at one rate, which three seeds try.
    [Theory]
    [InlineData(4, 1e30, 2e30)]
    [InlineData(6, 1e30)]
    public void An_arm_that_failed_at_every_rate_has_no_result_and_holds_nothing_up(int runs, params double[] rates)
    {
        var plan = Plan(study => study["learningRates"] = new JsonArray([.. rates.Select(rate => (JsonNode)rate)]));
        var runner = Runner(plan);
        Assert.Equal(runs, RunAll(runner).Count);
        Assert.True(runner.Results.Complete);
        Assert.All(runner.Results.Arms, arm => Assert.Null(arm.MeanLoss));
        Assert.Contains("The reference is not known yet", StudyReport.Document(plan, runner.Results, null, "cofrgenet study"), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_arm_text_or_budget_under_an_old_name_is_refused()
    {
        var runner = Runner(Plan());
        runner.Run(runner.Next([])!, null, TestContext.Current.CancellationToken);

        var wider = Plan(study => study["arms"]![0]!["model"] = new JsonObject { ["width"] = 24 });
        Assert.Contains("Arm gate of study has runs with another configuration", Assert.Throws<UserErrorException>(() => Runner(wider)).Message, StringComparison.Ordinal);
        var longer = Plan(study => study["tokens"] = 4096);
        Assert.Contains("another configuration", Assert.Throws<UserErrorException>(() => Runner(longer)).Message, StringComparison.Ordinal);
        var other = Assert.Throws<UserErrorException>(() => Runner(Plan(), data: TrainingSamples.Data(string.Concat(Enumerable.Repeat("another text. ", 60)))));
        Assert.Contains("saw another text", other.Message, StringComparison.Ordinal);

        // An arm that has not run yet may change, one may be added, and rates and seeds may grow.
        var grown = Plan(study =>
        {
            study["arms"]![1]!["model"] = new JsonObject { ["width"] = 24 };
            study["arms"]!.AsArray().Add(new JsonObject { ["name"] = "new" });
            study["seeds"]!.AsArray().Add(9);
        });
        Assert.Equal("both-lr0.001-seed1", Runner(grown).Next([])!.ToString());
        Assert.Equal("new-lr0.001-seed1", Runner(grown).Next(["new"])!.ToString());
    }

    [Fact]
    public void A_member_that_the_configuration_gains_later_does_not_make_old_runs_strangers()
    {
        var runner = Runner(Plan());
        runner.Run(runner.Next([])!, null, TestContext.Current.CancellationToken);
        var tree = JsonNode.Parse(File.ReadAllText(ResultsFile))!;
        foreach (var arm in tree["arms"]!.AsArray())
        {
            Assert.True(arm!["config"]!["training"]!.AsObject().Remove("ladderLearningRateShare"));
        }

        File.WriteAllText(ResultsFile, tree.ToJsonString());
        Assert.Equal("both-lr0.001-seed1", Runner(Plan()).Next([])!.ToString());
    }

    [Theory]
    [InlineData("\"seeds\": [1, 1]", "seeds is [1, 1]; allowed is at least one, each once")]
    [InlineData("\"learningRates\": [0]", "learningRates is [0]; allowed is at least one, each above 0")]
    [InlineData("\"references\": [\"gates\"]", "references is 'gates'; allowed is the name of an arm: gate, both")]
    [InlineData("\"references\": []", "references is []; allowed is the name of an arm at least")]
    [InlineData("\"budget\": 3", "has no member 'budget'")]
    [InlineData("\"arms\": [{\"name\": \"a/b\"}]", "arms.name is 'a/b'; allowed is letters, digits, '-' and '.'")]
    [InlineData("\"arms\": [{\"name\": \"a\"}, {\"name\": \"b\", \"training\": {\"tokensPerStep\": 128}}]", "Arms a and b differ in data, training.tokensPerStep")]
    [InlineData("\"arms\": [{\"name\": \"a\", \"set\": [\"model.widht=3\"]}]", "Arm a: ")]
    public void Mistakes_are_named(string member, string expected)
    {
        var change = JsonNode.Parse($"{{{member}}}")!.AsObject().First();
        var error = Assert.Throws<UserErrorException>(() => Plan(study => study[change.Key] = change.Value!.DeepClone()));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_document_names_no_place_on_this_machine()
    {
        var plan = Plan();
        var runner = Runner(plan);
        RunAll(runner);
        StudyReport.Save(plan, runner.Results, _folder.Root, "cofrgenet study configs/studies/study.json");
        Assert.DoesNotContain(_folder.Root, File.ReadAllText(_folder.File("study.md")) + File.ReadAllText(ResultsFile), StringComparison.Ordinal);
        // A PNG's first bytes.
        Assert.Equal<byte>([0x89, 0x50, 0x4E, 0x47], File.ReadAllBytes(_folder.File("study.png"))[..4]);
    }

    public static TheoryData<string> Shipped => [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "configs", "studies")).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Shipped))]
    public void Every_shipped_study_resolves_and_holds_to_what_its_arms_promise(string file)
    {
        var plan = new StudyPlan(Path.Combine(AppContext.BaseDirectory, "configs", "studies", file), []);
        var reference = Accounting.ParameterCount.Of(plan.ConfigOf(plan.Config.ResolveReferences()[0]).Model).BlockParameters;
        double Share(string arm) => (double)Accounting.ParameterCount.Of(plan.ConfigOf(arm).Model).BlockParameters / reference;
        foreach (var arm in plan.Config.Arms.Select(arm => arm.Name))
        {
            // The names say how large an arm may be beside the first reference.
            Assert.True(!arm.EndsWith("-half", StringComparison.Ordinal) || Share(arm) <= 0.5, $"{arm}: {Share(arm)}");
            Assert.True(!arm.EndsWith("-two-thirds", StringComparison.Ordinal) || Share(arm) <= 2 / 3.0, $"{arm}: {Share(arm)}");
            // Widths are multiples of the number of heads.
            Assert.True(!arm.EndsWith("-equal", StringComparison.Ordinal) || Share(arm) is > 0.98 and <= 1, $"{arm}: {Share(arm)}");
        }

        // Also where the transformer itself is no arm.
        var shape = plan.ConfigOf(plan.Config.Arms[0].Name).Model.WithMixer(new AttentionConfig { Heads = 8 }).WithFeedForward(new MlpConfig());
        var transformer = Accounting.ParameterCount.Of(shape).BlockParameters;
        Assert.True(file.Split('-', '.') is [.., "pilot", _] or ["smoke" or "recipe" or "copying", ..] || (plan.Tokens >= 5_000_000 && transformer >= 3_000_000), $"{plan.Tokens} tokens, {transformer} block parameters");
    }

    private string ResultsFile => _folder.File("study.json");

    private static string? Claimed(StudyRunner runner)
    {
        using var claim = runner.Claim([]);
        return claim?.Key.ToString();
    }

    private static List<StudyRunKey> RunAll(StudyRunner runner)
    {
        var keys = new List<StudyRunKey>();
        while (runner.Next([]) is { } key)
        {
            keys.Add(key);
            Assert.NotNull(runner.Run(key, null, TestContext.Current.CancellationToken));
        }

        return keys;
    }

    private StudyRunner Runner(StudyPlan plan, string work = "work", TextData? data = null) => new(plan, data ?? TrainingSamples.Text, ResultsFile, _folder.File(work));

    private StudyPlan Plan(Action<JsonObject>? change = null)
    {
        var study = JsonNode.Parse("""
            {
              "title": "A study", "learningRates": [0.001, 0.01], "seeds": [1, 2, 3], "tokens": 640, "evaluations": 2,
              "common": {
                "preset": "tiny-gate", "model": { "width": 16, "contextLength": 16 },
                "training": { "tokensPerStep": 64, "evaluationTokens": 32, "warmupSteps": 2 }
              },
              "arms": [{ "name": "gate" }, { "name": "both", "preset": "tiny-fu", "set": ["model.blocks.0.repeat=1"] }]
            }
            """)!.AsObject();
        change?.Invoke(study);
        // The results lie in the same folder in these tests, so the study's file has another extension.
        return new StudyPlan(_folder.Write("study.study", study.ToJsonString()), []);
    }
}
