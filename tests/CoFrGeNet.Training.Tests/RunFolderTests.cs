using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests;

public sealed class RunFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RunConfig _config = TrainingSamples.Run("fa", training => training with { Seed = 5, Schedule = LearningRateShape.Wsd, Precision = ComputePrecision.BFloat16 });

    private string Run => _folder.File("run");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_is_opened_with_the_configuration_it_was_started_with()
    {
        var created = RunFolder.Create(Run, _config, force: false);
        var (opened, config) = RunFolder.Open(Run);
        Assert.Equal(_config, config);
        Assert.Equal(created.FullPath, opened.FullPath);
    }

    [Fact]
    public void An_empty_folder_may_be_used() =>
        Assert.Equal(Directory.CreateDirectory(Run).FullName, RunFolder.Create(Run, _config, force: false).FullPath);

    [Fact]
    public void An_earlier_run_is_overwritten_only_by_force()
    {
        RunFolder.Create(Run, _config, force: false);
        File.WriteAllText(Path.Combine(Run, "metrics.jsonl"), "old");
        var error = Assert.Throws<UserErrorException>(() => RunFolder.Create(Run, _config, force: false));
        Assert.Contains("--force", error.Message, StringComparison.Ordinal);
        Assert.Contains("--resume", error.Message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(Path.Combine(Run, "metrics.jsonl")));
        RunFolder.Create(Run, _config, force: true);
        Assert.Equal(["run.json"], Directory.GetFileSystemEntries(Run).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("thesis.docx", "years of work")]
    [InlineData("run.json", "{ \"scripts\": \"of another tool\" }")]
    [InlineData("run.json", "[1, 2]")]
    [InlineData("run.json", "not even JSON")]
    public void A_foreign_folder_is_never_deleted(string file, string content)
    {
        _folder.Write($"run/{file}", content);
        foreach (var force in new[] { false, true })
        {
            Assert.Throws<UserErrorException>(() => RunFolder.Create(Run, _config, force));
            Assert.Equal(content, File.ReadAllText(Path.Combine(Run, file)));
        }
    }

    [Fact]
    public void A_file_in_the_way_is_the_users_mistake()
    {
        var file = _folder.Write("run", "a file");
        Assert.Contains("is a file", Assert.Throws<UserErrorException>(() => RunFolder.Create(file, _config, force: true)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_a_run_cannot_be_opened()
    {
        Assert.Contains("holds no run", Assert.Throws<UserErrorException>(() => RunFolder.Open(_folder.Root)).Message, StringComparison.Ordinal);
        Assert.Contains("holds no run", Assert.Throws<UserErrorException>(() => RunFolder.Open(_folder.File("nowhere"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_members_of_a_run_are_refused()
    {
        RunFolder.Create(Run, _config, force: false);
        var file = Path.Combine(Run, "run.json");
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"learningRate\"", "\"learningrat\"", StringComparison.Ordinal));
        Assert.Contains("did you mean 'learningRate'", Assert.Throws<UserErrorException>(() => RunFolder.Open(Run)).Message, StringComparison.Ordinal);
    }
}
