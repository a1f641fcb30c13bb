namespace CoFrGeNet.Cli.Tests;

public class ToolTests
{
    [Theory]
    [InlineData("train", "--set <path.to.member=value>")]
    [InlineData("generate", "[default: 0.8]")]
    [InlineData("watch", "--once")]
    [InlineData("info", "--preset <NAME>")]
    [InlineData("doctor", "--json")]
    public void Help_shows_the_options_with_their_defaults(string verb, string expected)
    {
        var run = ToolRun.Of(verb, "--help").Succeeded();
        Assert.Contains($"cofrgenet {verb} ", run.Output);
        Assert.Contains(expected, run.Output);
        Assert.Empty(run.Error);
    }

    [Fact]
    public void Help_of_the_tool_lists_its_verbs()
    {
        var help = ToolRun.Of("--help").Succeeded().Output;
        Assert.All(["train", "watch", "generate", "info", "doctor"], verb => Assert.Contains($"  {verb} ", help));
        Assert.Matches(@"^\d+\.\d+\.\d+", ToolRun.Of("--version").Succeeded().Output);
    }
}
