namespace CoFrGeNet.Cli.Tests.Verbs;

public class DoctorTests
{
    [Fact]
    public void Every_check_has_a_status_and_what_is_amiss_has_a_fix()
    {
        var run = ToolRun.Of("doctor", "--json");
        var checks = run.Json.GetProperty("checks").EnumerateArray().ToArray();
        Assert.Equal(run.Json.GetProperty("ok").GetBoolean() ? 0 : 1, run.Code);
        Assert.Contains(checks, check => check.GetProperty("name").GetString() == "SDK documentation corpus");
        Assert.Contains(checks, check => check.GetProperty("name").GetString()!.StartsWith("Disk", StringComparison.Ordinal));
        Assert.All(checks, check => Assert.True(
            check.GetProperty("status").GetString() == "ok" || check.GetProperty("fix").GetString()!.Length > 0, check.GetRawText()));
        Assert.Contains("libtorch", ToolRun.Of("doctor").Output);
    }
}
