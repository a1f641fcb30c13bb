using System.Runtime.InteropServices;

namespace CoFrGeNet.Text;

/// <summary>Finds the documentation files of the .NET SDK.</summary>
internal static class DotnetSdk
{
    // The packs that every SDK has on every operating system; others would make the corpus differ from machine to machine.
    private static readonly string[] Packs = ["Microsoft.NETCore.App.Ref", "Microsoft.AspNetCore.App.Ref"];

    /// <summary>Where an installation may lie, best guess first, without repetition.</summary>
    public static IReadOnlyList<string> Roots()
    {
        var roots = new List<string?> { Environment.GetEnvironmentVariable("DOTNET_ROOT"), RootOfRuntime(), RootOnPath() };
        if (OperatingSystem.IsWindows())
        {
            roots.Add(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "dotnet"));
        }
        else
        {
            roots.AddRange(["/usr/share/dotnet", "/usr/lib/dotnet", "/usr/lib64/dotnet", "/usr/local/share/dotnet"]);
        }

        roots.Add(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".dotnet"));
        return [.. roots.OfType<string>().Where(root => root.Length > 0).Select(Path.GetFullPath).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>
    /// The documentation files of the newest reference packs below a root, in ordinal order of their names; empty if there are none.
    /// </summary>
    public static IReadOnlyList<string> DocumentationFiles(string root) =>
    [
        .. Packs.Select(pack => NewestReference(Path.Combine(root, "packs", pack)))
            .OfType<string>()
            .SelectMany(folder => Directory.GetFiles(folder, "*.xml").Order(StringComparer.Ordinal)),
    ];

    private static string? NewestReference(string pack)
    {
        if (!Directory.Exists(pack))
        {
            return null;
        }

        // A version folder without documentation (a broken installation) gives way to an older one.
        return Newest(pack, "")
            .SelectMany(version => Directory.Exists(Path.Combine(version, "ref")) ? Newest(Path.Combine(version, "ref"), "net") : [])
            .FirstOrDefault(folder => Directory.EnumerateFiles(folder, "*.xml").Any());
    }

    /// <summary>Subfolders that are named by a version after a prefix, newest first; previews count below their release.</summary>
    private static IEnumerable<string> Newest(string folder, string prefix) =>
        Directory.GetDirectories(folder, prefix + "*")
            .Select(path => (Path: path, Parts: Path.GetFileName(path)[prefix.Length..].Split('-', 2)))
            .Select(found => (found.Path, Version: ParseVersion(found.Parts[0]), Release: found.Parts.Length == 1))
            .Where(found => found.Version is not null)
            .OrderByDescending(found => found.Version)
            .ThenByDescending(found => found.Release)
            .ThenByDescending(found => found.Path, StringComparer.Ordinal)
            .Select(found => found.Path);

    private static Version? ParseVersion(string text) => Version.TryParse(text, out var version) ? version : null;

    /// <summary>ROOT of ROOT/shared/Microsoft.NETCore.App/VERSION, where the running runtime lies unless it is self-contained.</summary>
    private static string? RootOfRuntime()
    {
        var runtime = Path.TrimEndingDirectorySeparator(RuntimeEnvironment.GetRuntimeDirectory());
        return Path.GetDirectoryName(Path.GetDirectoryName(Path.GetDirectoryName(runtime)));
    }

    private static string? RootOnPath()
    {
        var name = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        foreach (var folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator))
        {
            var file = Path.Combine(folder, name);
            if (folder.Length > 0 && File.Exists(file))
            {
                return Path.GetDirectoryName(File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file);
            }
        }

        return null;
    }
}
