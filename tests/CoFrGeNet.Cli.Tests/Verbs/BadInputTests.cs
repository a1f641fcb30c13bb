namespace CoFrGeNet.Cli.Tests.Verbs;

/// <summary>Every mistake of a user: exit code 2, nothing on standard output, one line that names it.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Theory]
    [InlineData("There is no verb 'trian'; did you mean 'train'?", "trian")]
    [InlineData("Required command was not provided")]
    [InlineData("There is no option '--pressed'; did you mean '--preset'?", "train", "--pressed", "tiny")]
    [InlineData("Option '--model' is required", "generate", "--prompt", "x")]
    [InlineData("'lots' for option '--max-tokens'; allowed is a whole number", "generate", "--model", "x", "--prompt", "x", "--max-tokens", "lots")]
    [InlineData("--top-p is 0; allowed is a number above 0", "generate", "--model", "x", "--prompt", "x", "--top-p", "0")]
    [InlineData("--max-tokens is 0; allowed is 1 or more", "generate", "--model", "x", "--prompt", "x", "--max-tokens", "0")]
    [InlineData("There is no preset 'tinny'; did you mean 'tiny'?", "info", "--preset", "tinny")]
    [InlineData("There is no preset 'tiny-fx'; did you mean 'tiny-f'?", "train", "--preset", "tiny-fx")]
    [InlineData("Give either --preset NAME or --model DIR", "info")]
    [InlineData("No model is given; name a preset with --preset", "train")]
    [InlineData("There is no configuration file nowhere.json", "train", "--config", "nowhere.json")]
    [InlineData("run.training has no member 'stepz'; did you mean 'steps'?", "train", "--preset", "tiny", "--set", "training.stepz=3")]
    [InlineData("run.training.steps is \"many\"; allowed is a whole number", "train", "--preset", "tiny", "--set", "training.steps=many")]
    [InlineData("run.training.steps is 99999999999; allowed is a whole number up to 2147483647", "train", "--preset", "tiny", "--set", "training.steps=99999999999")]
    [InlineData("'99999999999' for option '--steps'; allowed is a whole number up to 2147483647", "quickstart", "--steps", "99999999999")]
    [InlineData("training.spikes.window is 3; allowed is 10 to 10000", "train", "--preset", "tiny", "--set", "training.spikes.window=3")]
    [InlineData("training.keepCheckpointsEvery is 3; allowed is 0 (none) or a multiple of checkpointEvery, which is 250", "train", "--preset", "tiny", "--set", "training.keepCheckpointsEvery=3")]
    [InlineData("mixer.heads is 4; allowed is a divisor of the width 130", "train", "--preset", "tiny", "--set", "model.width=130")]
    [InlineData("training.sequenceLength is 500; allowed is 1 to 128", "train", "--preset", "tiny", "--set", "training.sequenceLength=500")]
    [InlineData("There is no folder nowhere", "generate", "--model", "nowhere", "--prompt", "x")]
    [InlineData("--resume needs the run's folder", "train", "--resume")]
    [InlineData("nowhere holds no run", "train", "--resume", "--out", "nowhere")]
    [InlineData("--resume goes on with a run, so it does not go with --force", "train", "--resume", "--force", "--out", "nowhere")]
    [InlineData("nowhere.txt' does not exist", "train", "--preset", "tiny", "--data", "nowhere.txt", "--dry-run")]
    public void Mistakes_on_the_command_line(string expected, params string[] arguments) => AssertRefused(expected, arguments);

    [Fact]
    public void Unknown_members_of_a_configuration_file()
    {
        var file = _runs.Write("run.json", """{ "preset": "tiny", "model": { "widht": 64 } }""");
        AssertRefused($"{file}.model has no member 'widht'; did you mean 'width'?", "train", "--config", file);
        AssertRefused("is not valid JSON", "train", "--config", _runs.Write("bad.json", "{ 'preset' }"));
    }

    [Fact]
    public void Texts_that_are_no_texts()
    {
        AssertTrainRefused("holds no text", "--data", _runs.Write("empty.txt", ""));
        File.WriteAllBytes(_runs.File("binary.txt"), [.. "some text"u8, 0, 1, 2, 255]);
        AssertTrainRefused("is not UTF-8 text: a zero byte at byte 9", "--data", _runs.File("binary.txt"));
        AssertTrainRefused("Give more text or a smaller training.sequenceLength.", "--set", "model.contextLength=128", "--set", "training.tokensPerStep=128", "--data", _runs.Write("short.txt", string.Concat(Enumerable.Repeat("a b\n\n", 60))));
        Assert.False(Directory.Exists(_runs.File("run")), "a refused run left a folder");
    }

    [Fact]
    public void Folders_with_content()
    {
        Directory.CreateDirectory(_runs.File("run"));
        var precious = _runs.Write("run/thesis.txt", "mine");
        AssertTrainRefused("is not empty; give another folder with --out, overwrite it with --force, or continue it with --resume.");
        AssertTrainRefused("which cofrgenet did not write, so --force does not delete it", "--force");
        Assert.Equal("mine", File.ReadAllText(precious));
        AssertTrainRefused("is a file; give a folder", "--out", _runs.Text);
    }

    [Fact]
    public void A_vocabulary_too_small_for_the_tokenizer() =>
        AssertTrainRefused("model.vocabularySize is 100; the tokenizer 'byte' has 257 ids", "--set", "model.vocabularySize=100");

    [Fact]
    public void Models_that_are_damaged_or_do_not_fit()
    {
        ToolRun.Of(_runs.Train("tiny-f", "run")).Succeeded();
        var final = _runs.File("run/final");
        string[] generate = ["generate", "--model", final, "--prompt", "x"];
        AssertRefused("The prompt has 17 tokens; this model's context holds 16. Shorten the prompt", "generate", "--model", final, "--prompt", "seventeen letters");

        var config = Path.Combine(final, "config.json");
        var good = File.ReadAllText(config);
        File.WriteAllText(config, System.Text.RegularExpressions.Regex.Replace(good, "\"count\": \\d+", "\"count\": 8"));
        AssertRefused("has shape [", generate);
        AssertRefused("the configuration needs [", generate);
        File.WriteAllText(config, good.Replace("\"model_type\": \"cofrgenet\"", "\"model_type\": \"gpt2\"", StringComparison.Ordinal));
        AssertRefused("model_type is 'gpt2'", generate);
        File.WriteAllText(config, good[..^10]);
        AssertRefused("config.json is not valid JSON", generate);
        File.WriteAllText(config, good);

        var weights = Path.Combine(final, "model.safetensors");
        var whole = File.ReadAllBytes(weights);
        File.WriteAllBytes(weights, whole[..(whole.Length / 2)]);
        AssertRefused("model.safetensors", generate);
        File.Delete(weights);
        AssertRefused("There is no " + weights, generate);
    }

    [Fact]
    public void Runs_that_cannot_be_resumed()
    {
        ToolRun.Of(_runs.Train("tiny", "run")).Succeeded();
        AssertRefused("--set and --data do not go with it", "train", "--resume", "--out", _runs.File("run"), "--set", "training.steps=3");
        AssertTrainRefused("is not the one that the run in", "--resume", "--set", "training.steps=99");
        foreach (var weights in Directory.GetFiles(_runs.File("run/checkpoints"), "model.safetensors", SearchOption.AllDirectories))
        {
            File.WriteAllBytes(weights, File.ReadAllBytes(weights)[..100]);
        }

        var run = ToolRun.Of("train", "--resume", "--out", _runs.File("run"), "--threads", "1");
        Check(run, "None of the 1 checkpoints");
        Check(run, "checkpoint step-00000012 skipped: ");
    }

    private void AssertTrainRefused(string expected, params string[] more)
    {
        string[] all = [.. _runs.Train("tiny", "run"), .. more];
        Check(ToolRun.Of(Last(Last(all, "--data"), "--out")), expected);
    }

    private static void AssertRefused(string expected, params string[] arguments) =>
        Check(ToolRun.Of(arguments), expected);

    private static void Check(ToolRun run, string expected)
    {
        Assert.Equal(2, run.Code);
        Assert.Empty(run.Output);
        Assert.Contains(expected, Assert.Single(run.ErrorLines));
        Assert.DoesNotContain("   at ", run.Error);
    }

    // --data and --out may be given once only, so the last one takes the place of the first.
    private static string[] Last(string[] arguments, string option)
    {
        int first = Array.IndexOf(arguments, option), last = Array.LastIndexOf(arguments, option);
        return first == last ? arguments : [.. arguments[..first], .. arguments[(first + 2)..]];
    }
}
