using System.IO.Enumeration;

namespace CoFrGeNet.Text;

/// <summary>
/// A text file, a gzip or Zstandard of one, or a folder of them. In a folder and below it, files named *.txt, *.md, *.gz and *.zst are read in the
/// ordinal order of their paths; folders that are links are not followed. Text must be UTF-8; a byte order mark is dropped and
/// CRLF becomes LF.
/// <para>
/// Documents are separated by lines <c>&lt;|endoftext|&gt;</c>; a file without such a line is one document. When all there is
/// comes to a single document, it is cut into contiguous chunks of at most 16 Ki characters (smaller ones for a short text), at
/// blank lines where possible, so that a training and a validation part can be told apart; joined, the chunks are the text.
/// </para>
/// </summary>
public sealed class TextFilesCorpus : ICorpus
{
    private static readonly string[] Extensions = [".txt", ".md", ".gz", ".zst"];

    private readonly string _path;

    /// <summary>Describes the corpus; nothing is read yet.</summary>
    /// <param name="path">A file of any name, or a folder.</param>
    public TextFilesCorpus(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        _path = path;
    }

    /// <inheritdoc/>
    public string Name => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(_path)));

    /// <inheritdoc/>
    public string Description => $"text files at {Path.GetFullPath(_path)}";

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">
    /// The path is missing, a folder holds no text files, there is no text, or a file is binary or damaged.
    /// </exception>
    public IEnumerable<Document> ReadDocuments()
    {
        var files = FindFiles();
        Document? first = null;
        var count = 0;
        foreach (var document in files.SelectMany(ReadFile))
        {
            count++;
            if (count == 1)
            {
                first = document;
                continue;
            }

            if (count == 2)
            {
                yield return first!.Value;
            }

            yield return document;
        }

        if (first is not { } single)
        {
            throw new UserErrorException($"'{_path}' holds no text, only white space or nothing");
        }

        if (count == 1)
        {
            var index = 0;
            foreach (var chunk in TextChunks.Cut(single.Text))
            {
                yield return new Document($"{single.Name}#{index++:D6}", chunk);
            }
        }
    }

    private static IEnumerable<Document> ReadFile((string Path, string Name) file)
    {
        using var reader = new TextFileReader(file.Path);
        for (var index = 0; reader.ReadDocument() is { } text; index++)
        {
            yield return new Document(index > 0 || reader.HasSeparators ? $"{file.Name}#{index:D6}" : file.Name, text);
        }
    }

    private List<(string Path, string Name)> FindFiles()
    {
        if (File.Exists(_path))
        {
            return [(_path, Name)];
        }

        if (!Directory.Exists(_path))
        {
            throw new UserErrorException($"data path '{_path}' does not exist; give a text file, a .gz of one, or a folder of them");
        }

        var root = Path.GetFullPath(_path);
        try
        {
            // The default options would silently leave out what cannot be read, and hidden files.
            var options = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = false, AttributesToSkip = 0 };
            var found = new FileSystemEnumerable<string>(root, (ref FileSystemEntry entry) => entry.ToFullPath(), options)
            {
                ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory && IsText(entry.FileName),
                ShouldRecursePredicate = (ref FileSystemEntry entry) => (entry.Attributes & FileAttributes.ReparsePoint) == 0,
            };
            var files = found
                .Select(path => (Path: path, Name: Path.GetRelativePath(root, path).Replace('\\', '/')))
                .OrderBy(file => file.Name, StringComparer.Ordinal)
                .ToList();
            return files.Count > 0
                ? files
                : throw new UserErrorException($"folder '{_path}' holds no text files (*{string.Join(", *", Extensions)})");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot list folder '{_path}': {e.Message}", e);
        }
    }

    private static bool IsText(ReadOnlySpan<char> fileName)
    {
        foreach (var extension in Extensions)
        {
            if (fileName.EndsWith(extension, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }
}
