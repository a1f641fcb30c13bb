using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.FineTuning;

public class SequenceClassifierTests
{
    private const int End = 256;

    [Theory]
    [InlineData("abc", null, new[] { 'a', 'b', 'c', End })]
    [InlineData("abcdefghij", null, new[] { 'a', 'b', 'c', 'd', 'e', 'f', 'g', End })]
    [InlineData("ab", "cd", new[] { 'a', 'b', End, 'c', 'd', End })]
    [InlineData("abcdefgh", "xy", new[] { 'a', 'b', 'c', 'd', End, 'x', 'y', End })]
    [InlineData("ab", "stuvwxyz", new[] { 'a', 'b', End, 's', 't', 'u', 'v', End })]
    [InlineData("abcdefgh", "stuvwxyz", new[] { 'a', 'b', 'c', End, 's', 't', 'u', End })]
    [InlineData("", "", new[] { End, End })]
    public void Examples_end_with_the_end_of_text_and_the_longer_text_is_cut(string text, string? text2, int[] expected)
    {
        using var classifier = Classifier();
        Assert.Equal(expected, classifier.Encode(new LabeledText(text, text2, "x")));
    }

    [Theory]
    [InlineData("f")]
    [InlineData("fa")]
    [InlineData("fu")]
    public void Padding_and_batch_mates_change_nothing(string variant)
    {
        using var classifier = Classifier(variant);
        LabeledText[] examples = [new("a", null, ""), new("abcdefg", null, ""), new("xy", null, "")];
        var together = classifier.Predict(examples);
        Assert.All(examples.Zip(together), pair =>
        {
            var alone = classifier.Predict([pair.First])[0];
            // Products of other shapes add their float32 terms in another order.
            Assert.All(alone.Zip(pair.Second), values => Assert.Equal(values.First, values.Second, 1e-5f));
        });
    }

    [Fact]
    public void A_saved_classifier_predicts_the_same()
    {
        using var folder = new TemporaryFolder();
        using var classifier = Classifier();
        classifier.Save(folder.Root);
        using var loaded = SequenceClassifier.Load(folder.Root);
        LabeledText[] examples = [new("some", null, ""), new("text", null, "")];
        Assert.Equal(classifier.Predict(examples), loaded.Predict(examples));
        Assert.Equal(["no", "yes"], loaded.Config.Classes);
        File.Delete(folder.File("classifier.json"));
        Assert.Contains("holds no classifier", Assert.Throws<UserErrorException>(() => SequenceClassifier.Load(folder.Root)).Message);
    }

    [Fact]
    public void Prediction_leaves_no_tensors_and_the_mode_as_it_was()
    {
        using var classifier = Classifier();
        classifier.train();
        classifier.Predict([new("warm up", null, "")]);

        // Finalizers of what earlier tests left must not lower the count in between.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = Tensor.TotalCount;
        classifier.Predict([new("some", null, ""), new("text", null, "")]);
        Assert.Equal(before, Tensor.TotalCount);
        Assert.True(classifier.training);
    }

    private static SequenceClassifier Classifier(string variant = "f")
    {
        manual_seed(3);
        return new SequenceClassifier(
            new LanguageModel(TrainingSamples.Model(variant)), ByteTokenizer.Instance, new ClassifierConfig { Task = "t", Classes = ["no", "yes"], MaxLength = 8 });
    }
}
