using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training.Tests.Configuration;

public sealed class RunConfigSourceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("cofrgenet-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_preset_alone_is_a_run_with_its_tokenizer()
    {
        var run = new RunConfigSource { Preset = "gpt2-f" }.Resolve();
        Assert.Equal("gpt2-f", run.Name);
        Assert.Equal(PresetLibrary.Get("gpt2-f").Model, run.Config.Model);
        Assert.Equal("gpt2", run.Config.Data.Tokenizer);
        Assert.Equal(new TrainingConfig(), run.Config.Training);
    }

    [Fact]
    public void File_members_win_over_the_preset_and_overrides_over_the_file()
    {
        var file = Write("mine.json", """
            {
              "preset": "tiny-u", // comments are fine
              "model": { "contextLength": 64, "norm": { "epsilon": 1e-6 } },
              "data": { "source": "from-file" },
              "training": { "steps": 7, "tokensPerStep": 128, "learningRate": 0.5 }
            }
            """);
        var run = new RunConfigSource { File = file, Data = "from-flag", Overrides = ["training.steps=9", "model.blocks.0.repeat=3"] }.Resolve();
        Assert.Equal("tiny-u", run.Name);
        Assert.Equal(64, run.Config.Model.ContextLength);
        Assert.Equal(1e-6, run.Config.Model.Norm.Epsilon);
        Assert.Equal(128, run.Config.Model.Width);
        Assert.Equal(3, run.Config.Model.LayerCount);
        Assert.IsType<CAttnUConfig>(run.Config.Model.Blocks[0].Mixer);
        Assert.Equal(Path.GetFullPath("from-flag"), run.Config.Data.Source);
        Assert.Equal("byte", run.Config.Data.Tokenizer);
        Assert.Equal((9, 128, 0.5), (run.Config.Training.Steps, run.Config.Training.TokensPerStep, run.Config.Training.LearningRate));
    }

    [Fact]
    public void The_papers_recipe_goes_over_preset_and_file_and_under_overrides()
    {
        var file = Write("mine.json", """{ "preset": "tiny-fu", "recipe": "paper", "training": { "ladderLearningRateShare": 0.5, "learningRate": 0.01 } }""");
        var run = new RunConfigSource { File = file }.Resolve().Config;
        var (mixer, feedForward) = ((CAttnUConfig)run.Model.Blocks[0].Mixer, (CffnConfig)run.Model.Blocks[0].FeedForward);
        Assert.Equal(PoleGuard.Paper, mixer.Guard);
        Assert.Equal(PoleGuard.Paper, feedForward.Ladders.Guard);
        Assert.True(feedForward.Ladders.ClipToTrainedRange);
        Assert.Equal((LadderSchedule.Dyadic, 1.0, 0.0, 0.01), (run.Training.LadderSchedule, run.Training.LadderLearningRateShare, run.Training.ComponentClipNorm, run.Training.LearningRate));

        // The sizes are the preset's, and what is set by hand wins.
        Assert.Equal(PresetLibrary.Get("tiny-fu").Model.WithMixer(mixer).WithFeedForward(feedForward), run.Model);
        Assert.Equal(LadderSchedule.None, new RunConfigSource { File = file, Overrides = ["training.ladderSchedule=none"] }.Resolve().Config.Training.LadderSchedule);
        Assert.Equal(PoleGuard.Default, ((CAttnUConfig)new RunConfigSource { File = file, Recipe = "default" }.Resolve().Config.Model.Blocks[0].Mixer).Guard);
        Assert.Equal(PoleGuard.Paper, ((CAttnMConfig)new RunConfigSource { Preset = "tiny-a", Recipe = "paper" }.Resolve().Config.Model.Blocks[0].Mixer).Ladders.Guard);
        var distances = Write("distances.json", """{ "preset": "tiny", "model": { "blocks": [ { "mixer": { "type": "cattnu", "relativePositions": true, "heads": 8, "inputMaps": 2, "forgetGates": true }, "feedForward": { "type": "mlp" } } ] } }""");
        Assert.Equal(new CAttnUConfig { RelativePositions = true, Heads = 8, InputMaps = 2, ForgetGates = true }, new RunConfigSource { File = distances }.Resolve().Config.Model.Blocks[0].Mixer);
        Assert.Equal(new CAttnUConfig { Guard = PoleGuard.Paper }, new RunConfigSource { File = distances, Recipe = "paper" }.Resolve().Config.Model.Blocks[0].Mixer);
        var small = new RunConfigSource { Preset = "small-fu", Recipe = "paper" }.Resolve().Config.Model;
        Assert.Equal((true, new CAttnUConfig { Guard = PoleGuard.Paper }), (small.LearnedPositions, small.Blocks[0].Mixer));
        Assert.Equal(new LadderConfig { Count = 3, Depth = 1, Guard = PoleGuard.Paper }, ((CffnConfig)small.Blocks[0].FeedForward).Ladders);
        Assert.Contains("recipe is 'papre'; did you mean 'paper'?", Assert.Throws<UserErrorException>(() => new RunConfigSource { Preset = "tiny", Recipe = "papre" }.Resolve()).Message, StringComparison.Ordinal);
        Assert.Contains("write --recipe paper", Assert.Throws<UserErrorException>(() => new RunConfigSource { Preset = "tiny", Overrides = ["recipe=paper"] }.Resolve()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_preset_given_by_itself_replaces_that_of_the_file()
    {
        var file = Write("mine.json", """{ "preset": "tiny", "training": { "steps": 7 } }""");
        var run = new RunConfigSource { File = file, Preset = "small-fu" }.Resolve();
        Assert.Equal(("small-fu", 7), (run.Name, run.Config.Training.Steps));
        Assert.Equal(PresetLibrary.Get("small-fu").Model, run.Config.Model);
    }

    [Fact]
    public void A_file_with_a_whole_model_needs_no_preset_and_gives_its_name()
    {
        var file = Write("whole.json", """
            { "model": { "vocabularySize": 257, "contextLength": 16, "width": 8,
              "blocks": [ { "mixer": { "type": "attention", "heads": 2 }, "feedForward": { "type": "mlp" } } ] },
              "training": { "tokensPerStep": 32 } }
            """);
        var run = new RunConfigSource { File = file }.Resolve();
        Assert.Equal(("whole", 8), (run.Name, run.Config.Model.Width));
    }

    [Theory]
    [InlineData("{ \"preset\": \"tyni\" }", "", "There is no preset 'tyni'; did you mean 'tiny'?")]
    [InlineData("{ \"preset\": 3 }", "", "preset is 3; it must be a name")]
    [InlineData("{ \"training\": {} }", "", "has neither 'preset' nor 'model'")]
    [InlineData("{ \"preset\": \"tiny\", \"trainning\": {} }", "", "has no member 'trainning'; did you mean 'training'?")]
    [InlineData("{ \"preset\": \"tiny\", \"training\": { \"stepz\": 1 } }", "", "has no member 'stepz'; did you mean 'steps'?")]
    [InlineData("{ \"preset\": \"tiny\" }", "training.learningrate=1", "run.training has no member 'learningrate'; did you mean 'learningRate'?")]
    [InlineData("{ \"preset\": \"tiny\" }", "model.blocks.4.repeat=1", "'4' is no member or list index there")]
    [InlineData("{ \"preset\": \"tiny\" }", "training.steps", "has no '='")]
    [InlineData("{ \"preset\": \"tiny\" }", "training.steps=many", "run")]
    [InlineData("{ \"preset\": \"tiny\" }", "preset=small", "write --preset small")]
    [InlineData("{ \"preset\": \"tiny\" }", "model.width=130", "model.blocks[0].mixer.heads is 4; allowed is a divisor of the width 130.")]
    [InlineData("{ \"preset\": \"tiny\" }", "training.sequenceLength=129", "training.sequenceLength is 129; allowed is 1 to 128.")]
    [InlineData("{ \"preset\": \"tiny\" }", "training.schedule=cosin", "did you mean 'cosine'?")]
    [InlineData("[]", "", "is not a JSON object")]
    [InlineData("{ preset }", "", "is not valid JSON")]
    public void Mistakes_are_named_in_one_line(string json, string assignment, string expected)
    {
        var source = new RunConfigSource { File = Write("bad.json", json), Overrides = assignment.Length > 0 ? [assignment] : [] };
        var message = Assert.Throws<UserErrorException>(() => source.Resolve()).Message;
        Assert.Contains(expected, message);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Nothing_given_and_a_missing_file_say_what_to_give()
    {
        Assert.Contains("--preset tiny", Assert.Throws<UserErrorException>(() => new RunConfigSource().Resolve()).Message);
        Assert.Contains("no configuration file nowhere.json", Assert.Throws<UserErrorException>(() => new RunConfigSource { File = "nowhere.json" }.Resolve()).Message);
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}
