using CoFrGeNet.Data;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;

namespace CoFrGeNet.Training.Tests.Data;

/// <summary>Training on prepared folders and on token files of other programs.</summary>
public class PreparedTrainingTests
{
    private static readonly string[] Left = [.. Enumerable.Range(0, 200).Select(i => $"left {i * 17 % 101} and {i}")];
    private static readonly string[] Right = [.. Enumerable.Range(0, 200).Select(i => $"RIGHT {i * 13 % 97} OR {i}")];

    [Fact]
    public void Two_sources_of_three_to_one_are_seen_in_that_ratio_and_in_one_order_from_anywhere()
    {
        using var folder = new TemporaryFolder();
        var config = Mixed(folder);
        var data = TextData.Load(config.Data);
        const int Length = TrainingSamples.Context, Windows = 2000;
        var windows = new TrainingWindows(data, Length, config.Training.Seed);
        var texts = Enumerable.Range(0, Windows).Select(position => Text(windows, position)).ToArray();
        // Letters tell the sources apart in the text itself.
        var left = texts.Count(text => text.Any(char.IsLower));
        Assert.InRange(left, 0.99 * Windows * 3 / 4, 1.01 * Windows * 3 / 4);
        Assert.Equal(Windows, left + texts.Count(text => text.Any(char.IsUpper)));
        var later = new TrainingWindows(TextData.Load(config.Data), Length, config.Training.Seed);
        foreach (var position in new[] { 1999, 0, 777, 1, 1500 })
        {
            Assert.Equal(texts[position], Text(later, position));
        }

        // The validation part is of both, and no text of it is trained on.
        var held = Documents(data.Validation);
        Assert.Contains(held, text => text.StartsWith("left", StringComparison.Ordinal));
        Assert.Contains(held, text => text.StartsWith("RIGHT", StringComparison.Ordinal));
        Assert.Empty(held.Intersect(Documents(data.Train)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public void A_run_on_a_mix_resumes_to_the_same_weights(int stop)
    {
        using var folder = new TemporaryFolder();
        var config = Mixed(folder);
        var whole = new RecordingObserver();
        using var straight = new Trainer(config, TextData.Load(config.Data), observer: whole);
        straight.Train();
        var run = TrainingSamples.Folder(folder, config);
        using (var first = new Trainer(config, TextData.Load(config.Data), run))
        {
            first.Train(until: stop);
        }

        var (opened, stored) = RunFolder.Open(run.FullPath);
        Assert.Equal(config, stored);
        using var second = new Trainer(stored, TextData.Load(stored.Data), opened);
        Assert.True(second.Resume());
        second.Train();
        TrainingSamples.AssertSameWeights(TrainingSamples.Weights(straight.Model), TrainingSamples.Weights(second.Model));
        Assert.Contains(whole.Messages, message => message.Text.StartsWith("epochs: ", StringComparison.Ordinal) && message.Step == 8);

        // Another weight is another text.
        var other = stored with { Data = stored.Data with { Sources = [stored.Data.Sources![0] with { Weight = 2 }, stored.Data.Sources[1]] } };
        using var third = new Trainer(other, TextData.Load(other.Data), opened);
        Assert.ThrowsAny<Exception>(() => third.Resume());
    }

    [Fact]
    public void Both_layouts_and_bare_files_give_the_bits_of_the_text_itself()
    {
        using var folder = new TemporaryFolder();
        var text = DataPreparationTests.WriteText(folder, Left);
        var losses = new List<double[]>();
        foreach (var layout in new[] { TokenLayout.Llmc, TokenLayout.NanoGpt })
        {
            var path = folder.File($"{layout}");
            new DataPreparation(path, DataPreparationTests.Options(text) with { Tokenizer = "byte", Layout = layout }).Run(TestContext.Current.CancellationToken);
            losses.Add(Losses(new DataConfig { Source = path }));
            // The same files without a manifest, as others leave them.
            var bare = Directory.CreateDirectory(folder.File($"bare-{layout}")).FullName;
            foreach (var file in Directory.GetFiles(path, "*.bin"))
            {
                File.Copy(file, Path.Combine(bare, Path.GetFileName(file)));
            }

            losses.Add(Losses(new DataConfig { Source = bare }));
            losses.Add(Losses(new DataConfig { Source = Directory.GetFiles(bare, "train*.bin").Single() }));
            losses.Add(Losses(new DataConfig { Source = bare, ValidationSource = Directory.GetFiles(bare, "val*.bin").Single(), VerifyFiles = false }));
        }

        Assert.All(losses[1..4], other => Assert.Equal(losses[0], other));
        Assert.All(losses[5..8], other => Assert.Equal(losses[4], other));
        // The mark stands before documents in one and after them in the other, so the windows differ by one token.
        Assert.NotEqual(losses[0], losses[4]);
    }

    [Fact]
    public void A_text_prepared_with_another_tokenizer_is_refused_with_what_to_do()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("gpt2");
        new DataPreparation(path, DataPreparationTests.Options(DataPreparationTests.WriteText(folder, Left))).Run(TestContext.Current.CancellationToken);
        var message = Assert.Throws<UserErrorException>(() => TextData.Load(new DataConfig { Source = path, Tokenizer = "byte" })).Message;
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.Contains("--set data.tokenizer=gpt2 --set model.vocabularySize=50257", message, StringComparison.Ordinal);
        // A prepared folder names its own tokenizer.
        Assert.Equal("gpt2", TextData.Load(new DataConfig { Source = path, Tokenizer = path }).Tokenizer.Name);
    }

    [Fact]
    public void Texts_without_a_validation_part_are_refused()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("all");
        new DataPreparation(path, DataPreparationTests.Options(DataPreparationTests.WriteText(folder, Left)) with { Tokenizer = "byte", ValidationShare = 0 }).Run(TestContext.Current.CancellationToken);
        Assert.Contains("holds no validation part", Assert.Throws<UserErrorException>(() => TextData.Load(new DataConfig { Source = path })).Message, StringComparison.Ordinal);
        Assert.True(TextData.Load(new DataConfig { Source = path, ValidationSource = folder.File("corpus.txt") }).Validation.Count > 0);
    }

    private static RunConfig Mixed(TemporaryFolder folder)
    {
        var sources = new[] { ("left", Left, 3.0), ("right", Right, 1.0) }.Select(source =>
        {
            var (name, texts, weight) = source;
            var path = folder.File(name);
            new DataPreparation(path, DataPreparationTests.Options(DataPreparationTests.WriteText(folder, texts)) with { Tokenizer = "byte", ValidationShare = 0.2 }).Run(TestContext.Current.CancellationToken);
            return new DataSourceConfig { Path = path, Weight = weight };
        }).ToArray();
        return TrainingSamples.Run("") with { Data = new DataConfig { Sources = sources } };
    }

    private static double[] Losses(DataConfig data)
    {
        var observer = new RecordingObserver();
        var config = TrainingSamples.Run("", training => training with { Steps = 3 }) with { Data = data };
        using var trainer = new Trainer(config, TextData.Load(data), observer: observer);
        trainer.Train();
        return [.. observer.Losses, trainer.LastEvaluation!.Loss, trainer.LastEvaluation.BitsPerByte];
    }

    // The marks have letters too.
    private static string Text(TrainingWindows windows, long position)
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        var ids = windows.Batch(position, 1, TorchSharp.torch.CPU).Inputs.data<long>().ToArray().Select(id => (int)id);
        return ByteTokenizer.Instance.Decode([.. ids.Select(id => id == ByteTokenizer.Instance.EndOfTextId ? '\n' : id)]);
    }

    private static HashSet<string> Documents(ITokenSequence tokens)
    {
        var ids = new long[tokens.Count];
        tokens.CopyTo(0, ids);
        var text = ByteTokenizer.Instance.Decode([.. ids.Select(id => (int)id)]);
        return [.. text.Split("<|endoftext|>", StringSplitOptions.RemoveEmptyEntries)];
    }
}
