using CoFrGeNet.Tests;

namespace CoFrGeNet.Evaluation.Tests;

public class DatasetSourceTests
{
    private static readonly DatasetReference Dataset = TaskLibrary.Get("piqa").Dataset;

    [Theory]
    [InlineData("piqa/validation.jsonl")]
    [InlineData("piqa/dev.jsonl")]
    [InlineData("piqa/validation-00000-of-00001.jsonl")]
    [InlineData("piqa.jsonl")]
    public void A_folder_is_searched_for_the_split(string name)
    {
        using var folder = new TemporaryFolder();
        folder.Write(name, "{\"goal\":\"found\"}\n");
        folder.Write("piqa/train.jsonl", "{\"goal\":\"train\"}\n");
        Assert.Equal("found", new DatasetSource([folder.Root]).Read("piqa", null, Dataset, "validation")[0].Text("goal"));
    }

    [Fact]
    public void A_split_that_is_not_there_is_told_with_what_to_do()
    {
        using var folder = new TemporaryFolder();
        folder.Write("piqa/train.jsonl", "{}\n");
        var error = Assert.Throws<UserErrorException>(() => new DatasetSource([folder.Root]).Read("piqa", null, Dataset, "validation"));
        Assert.Contains("piqa/validation.*", error.Message);
        Assert.Contains("--download", error.Message);
        Assert.Contains("names no folder", Assert.Throws<UserErrorException>(() => new DatasetSource(["piqa=" + folder.File("none")])).Message);
    }

    [Fact]
    public void A_set_that_the_hub_lacks_needs_a_file_and_says_so()
    {
        var error = Assert.Throws<UserErrorException>(() => new DatasetSource([]).Read("lm1b", null, TaskLibrary.Get("lm1b").Dataset, "test"));
        Assert.Contains("--data lm1b=FILE", error.Message);
        Assert.DoesNotContain("--download", error.Message);
    }

    [Theory]
    [InlineData("arc_easy", "validation", 570)]
    [InlineData("arc_challenge", "validation", 299)]
    [InlineData("openbookqa", "validation", 500)]
    [InlineData("piqa", "train", 16113)]
    [InlineData("boolq", "train", 9427)]
    [InlineData("winogrande", "train", 40398)]
    public void Collections_with_ready_queries_give_questions(string name, string split, int count)
    {
        var task = TaskLibrary.Get(name);
        var records = new DatasetSource([SharedData.PathOrSkip("mc")]).Read(name, null, task.Dataset with { Split = split }, split);
        Assert.Equal(count, records.Count);
        Assert.All(records.Take(300), record => Assert.InRange(task.Requests(record, "").Count, 2, 5));
    }
}
