using System.IO.Enumeration;

namespace CoFrGeNet.Training;

/// <summary>What a file of an input holds.</summary>
internal enum InputKind
{
    /// <summary>Text, with or without separator lines.</summary>
    Text,

    /// <summary>A JSON object a line.</summary>
    JsonLines,

    /// <summary>A table.</summary>
    Parquet,
}

/// <summary>One file of an input.</summary>
/// <param name="Path">Its path, or one of <see cref="StandardInput"/>, <see cref="StandardInputJsonLines"/>.</param>
/// <param name="Kind">What it holds.</param>
/// <param name="Length">Its length on the disk; 0 for standard input.</param>
/// <param name="Modified">When it was last written to; the default for standard input.</param>
internal sealed record InputFile(string Path, InputKind Kind, long Length, DateTime Modified)
{
    /// <summary>Standard input as text.</summary>
    public const string StandardInput = "-";

    /// <summary>Standard input as JSON lines.</summary>
    public const string StandardInputJsonLines = "-.jsonl";

    private static readonly string[] Packed = [".gz", ".zst"];
    private static readonly string[] Text = [".txt", ".md"];
    private static readonly string[] JsonLines = [".jsonl", ".ndjson"];

    /// <summary>Whether this is standard input rather than a file.</summary>
    public bool IsStandardInput => Path is StandardInput or StandardInputJsonLines;

    /// <summary>Whether an input is standard input rather than a path.</summary>
    public static bool NamesStandardInput(string input) => input is StandardInput or StandardInputJsonLines;

    /// <summary>The files of an input: itself, or those of a folder and below it, in the ordinal order of their paths.</summary>
    /// <exception cref="UserErrorException">The path is missing, or the folder holds nothing that can be read.</exception>
    public static IReadOnlyList<InputFile> Find(string input)
    {
        if (NamesStandardInput(input))
        {
            return [new InputFile(input, input == StandardInput ? InputKind.Text : InputKind.JsonLines, 0, default)];
        }

        try
        {
            if (File.Exists(input))
            {
                return [Of(input, KindOf(input) ?? InputKind.Text)];
            }

            if (!Directory.Exists(input))
            {
                throw new UserErrorException($"the input '{input}' does not exist; give a file, a folder, - for text or -.jsonl for JSON lines from standard input");
            }

            // The default options would silently leave out what cannot be read, and hidden files.
            var options = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = false, AttributesToSkip = 0 };
            var found = new FileSystemEnumerable<string>(input, (ref FileSystemEntry entry) => entry.ToFullPath(), options)
            {
                ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory,
                ShouldRecursePredicate = (ref FileSystemEntry entry) => (entry.Attributes & FileAttributes.ReparsePoint) == 0,
            };
            var files = found.Select(path => (Path: path, Kind: KindOf(path))).Where(file => file.Kind is not null)
                .OrderBy(file => System.IO.Path.GetRelativePath(input, file.Path).Replace('\\', '/'), StringComparer.Ordinal)
                .Select(file => Of(file.Path, file.Kind!.Value)).ToArray();
            return files.Length > 0 ? files : throw new UserErrorException(
                $"the folder '{input}' holds nothing to prepare (*.txt, *.md, *.jsonl, *.ndjson, each also as .gz or .zst, and *.parquet)");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot list the input '{input}': {e.Message}", e);
        }
    }

    private static InputFile Of(string path, InputKind kind)
    {
        var info = new FileInfo(path);
        return new InputFile(path, kind, info.Length, info.LastWriteTimeUtc);
    }

    // A packed file without another ending holds text.
    private static InputKind? KindOf(string path)
    {
        var isPacked = EndsWith(path, Packed);
        var name = isPacked ? System.IO.Path.GetFileNameWithoutExtension(path) : path;
        return EndsWith(name, JsonLines) ? InputKind.JsonLines
            : !isPacked && EndsWith(name, [".parquet"]) ? InputKind.Parquet
            : EndsWith(name, Text) || (isPacked && !System.IO.Path.HasExtension(name)) ? InputKind.Text
            : null;
    }

    private static bool EndsWith(string path, string[] endings) => endings.Any(ending => path.EndsWith(ending, StringComparison.OrdinalIgnoreCase));
}
