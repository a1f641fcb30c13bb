using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.FineTuning;

public class ClassificationDataTests
{
    [Theory]
    [InlineData("sst2", "a.tsv", "good film\t1\nbad \"film\t0\n", "good film", null, "1")]
    [InlineData("sst2", "a.tsv", "sentence\tlabel\ngood film\t1\n", "good film", null, "1")]
    [InlineData("cola", "a.tsv", "gj04\t1\t\tA sentence.\ngj04\t0\t*\tSentence a.\n", "A sentence.", null, "1")]
    [InlineData("rte", "a.jsonl", "{\"premise\":\"P\",\"hypothesis\":\"H\",\"label\":\"entailment\",\"idx\":0}\n", "P", "H", "entailment")]
    [InlineData("mrpc", "a.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tOne\tTwo\n", "One", "Two", "1")]
    [InlineData("stsb", "a.tsv", "index\tsentence1\tsentence2\tscore\n0\tOne\tTwo\t3.800\n", "One", "Two", "3.800")]
    [InlineData("qqp", "a.csv", "id,question1,question2,is_duplicate\n0,\"One, two\",Three,0\n", "One, two", "Three", "0")]
    public void Tasks_of_GLUE_are_read_in_the_layouts_that_go_around(string task, string name, string content, string text, string? text2, string label)
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(new LabeledText(text, text2, label), ClassificationData.Read(folder.Write(name, content), ClassificationTask.Get(task))[0]);
    }

    [Fact]
    public void Columns_by_number_are_those_of_a_table_without_a_header()
    {
        using var folder = new TemporaryFolder();
        var task = new ClassificationTask("custom", ["2"], [], ["1"], false, "accuracy");
        Assert.Equal(["one", "two"], ClassificationData.Read(folder.Write("a.csv", "x,one\ny,two\n"), task).Select(example => example.Text));
    }

    [Fact]
    public void Mistakes_are_told()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.tsv", "sentence\tmark\ngood\t1\n");
        Assert.Contains("no column 'label' or '2'; it has sentence, mark. Name the column with --label", Assert.Throws<UserErrorException>(() => ClassificationData.Read(path, ClassificationTask.Get("sst2"))).Message);
        Assert.Contains("without labels", Assert.Throws<UserErrorException>(() => ClassificationData.Read(folder.Write("b.tsv", "good\t-1\n"), ClassificationTask.Get("sst2"))).Message);
        Assert.Contains("did you mean 'sst2'", Assert.Throws<UserErrorException>(() => ClassificationTask.Get("sst-2")).Message);
    }

    [Fact]
    public void A_split_is_reproducible_and_keeps_equal_texts_together()
    {
        LabeledText[] examples = [.. Enumerable.Range(0, 1000).Select(i => new LabeledText($"text {i % 500}", null, "x"))];
        var (train, validation) = ClassificationData.Split(examples, 0.2, 0);
        Assert.Equal(1000, train.Count + validation.Count);
        // 500 draws with probability 0.2: four deviations are 36 texts.
        Assert.InRange(validation.Count / 2, 64, 136);
        Assert.Empty(train.Intersect(validation));
        Assert.Equal(validation, ClassificationData.Split(examples, 0.2, 0).Validation);
        Assert.NotEqual(validation, ClassificationData.Split(examples, 0.2, 1).Validation);
    }

    [Fact]
    public void Classes_are_ordered_by_number_or_by_letter()
    {
        Assert.Equal(["-2", "9", "10"], ClassificationData.Classes([new("", null, "10"), new("", null, "-2"), new("", null, "9")]));
        Assert.Equal(["b", "c"], ClassificationData.Classes([new("", null, "c"), new("", null, "b"), new("", null, "c")]));
        Assert.Throws<UserErrorException>(() => ClassificationData.Classes([new("", null, "c")]));
    }
}
