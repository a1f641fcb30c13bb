namespace CoFrGeNet.Tests;

/// <summary>Development data that lies outside the repository; tests that need it are skipped where it is absent.</summary>
internal static class SharedData
{
    /// <summary>A file or folder below shared/data, looked for from the test binary upwards.</summary>
    public static string PathOrSkip(string relative)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "shared", "data", relative);
            if (Path.Exists(candidate))
            {
                return candidate;
            }
        }

        Assert.Skip($"shared/data/{relative} is not on this machine");
        return "";
    }
}
