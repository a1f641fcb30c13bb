namespace CoFrGeNet.Evaluation;

/// <summary>
/// Finds the records of tasks: in files named for a task, in a folder of data sets, or on the Hugging Face hub. What was read is kept, since
/// the tasks of a group share files.
/// </summary>
public sealed class DatasetSource
{
    private static readonly Dictionary<string, string[]> SplitNames = new(StringComparer.Ordinal)
    {
        ["validation"] = ["validation", "valid", "val", "dev"],
        ["dev"] = ["dev"],
        ["test"] = ["test"],
        ["train"] = ["train"],
    };

    private readonly Dictionary<string, string> _files = new(StringComparer.Ordinal);
    private readonly List<string> _folders = [];
    private readonly HubDatasets? _hub;
    private readonly Dictionary<string, IReadOnlyList<DataRecord>> _read = new(StringComparer.Ordinal);

    /// <summary>Creates the source.</summary>
    /// <param name="places">Folders, and files as <c>task=FILE</c> (the scored split) or <c>task:split=FILE</c>.</param>
    /// <param name="hub">Where data that is not local is fetched; null: nowhere.</param>
    /// <exception cref="UserErrorException">A folder or a file does not exist.</exception>
    public DatasetSource(IEnumerable<string> places, HubDatasets? hub = null)
    {
        _hub = hub;
        foreach (var place in places)
        {
            var equals = place.IndexOf('=', StringComparison.Ordinal);
            if (Directory.Exists(place))
            {
                _folders.Add(place);
            }
            else if (equals > 0 && File.Exists(place[(equals + 1)..]))
            {
                _files[place[..equals]] = place[(equals + 1)..];
            }
            else
            {
                throw new UserErrorException($"--data {place} names no folder and no file; give a folder of data sets, or task=FILE, or task:split=FILE.");
            }
        }
    }

    /// <summary>The records of a split.</summary>
    /// <param name="task">The task's name; its group's name serves as well in <c>task=FILE</c>.</param>
    /// <param name="group">The group's name, or null.</param>
    /// <param name="dataset">Which data.</param>
    /// <param name="split">Which split.</param>
    /// <returns>The records, none of which is changed.</returns>
    /// <exception cref="UserErrorException">They are nowhere to be found, or cannot be read.</exception>
    public IReadOnlyList<DataRecord> Read(string task, string? group, DatasetReference dataset, string split)
    {
        var records = Locate(task, group, dataset, split).SelectMany(file => ReadFile(file, dataset)).ToArray();
        var kept = dataset.Filter is var (field, value) && records.Any(record => record.Has(field))
            ? [.. records.Where(record => record.Text(field) == value)]
            : records;
        return kept.Length > 0 ? kept : throw new UserErrorException($"The data of {task}, split {split}, has no records.");
    }

    private IReadOnlyList<DataRecord> ReadFile(string path, DatasetReference dataset)
    {
        if (!_read.TryGetValue(path, out var records))
        {
            _read[path] = records = RecordFile.Read(path, dataset.Fields);
        }

        return records;
    }

    private IReadOnlyList<string> Locate(string task, string? group, DatasetReference dataset, string split)
    {
        string[] keys = group is null ? [$"{task}:{split}"] : [$"{task}:{split}", $"{group}:{split}"];
        string[] plain = split != dataset.Split ? [] : group is null ? [task] : [task, group];
        if (keys.Concat(plain).FirstOrDefault(_files.ContainsKey) is { } named)
        {
            return [_files[named]];
        }

        foreach (var folder in _folders)
        {
            if (InFolder(folder, dataset, split) is { Count: > 0 } files)
            {
                return files;
            }
        }

        if (dataset.IsOnHub && _hub is not null)
        {
            return _hub.Fetch(dataset, split);
        }

        var download = dataset.IsOnHub ? $", or --download to fetch {dataset.Repository} from the Hugging Face hub" : "; it is not fetched from the Hugging Face hub";
        throw new UserErrorException(
            $"There is no data for {task}, split {split}: {Tried(dataset, split)}; give --data DIR or --data {task}=FILE, or another split with --split{download}.");
    }

    // NAME/split.ext, NAME/split-00000-of-00002.parquet .., or NAME.ext where a set has one split only.
    private static List<string> InFolder(string folder, DatasetReference dataset, string split)
    {
        foreach (var name in dataset.Folders)
        {
            var below = Path.Combine(folder, name);
            if (Directory.Exists(below))
            {
                var files = Directory.GetFiles(below).Where(RecordFile.IsReadable).Order(StringComparer.Ordinal).ToArray();
                foreach (var spelling in SplitNames.GetValueOrDefault(split, [split]))
                {
                    var found = files.Where(file => IsSplit(Path.GetFileName(file), spelling)).ToList();
                    if (found.Count > 0)
                    {
                        return found;
                    }
                }
            }

            foreach (var extension in RecordFile.Extensions.SelectMany(ending => new[] { ending, ending + ".gz" }))
            {
                if (File.Exists(below + extension))
                {
                    return [below + extension];
                }
            }
        }

        return [];
    }

    private static bool IsSplit(string fileName, string split) =>
        fileName.StartsWith(split, StringComparison.Ordinal) && fileName.Length > split.Length && fileName[split.Length] is '.' or '-' or '_'
        || fileName.Contains($".{split}.", StringComparison.Ordinal);

    private string Tried(DatasetReference dataset, string split) => _folders.Count == 0
        ? "--data was not given"
        : $"{string.Join(", ", _folders)} has no {string.Join(" or ", dataset.Folders.Select(name => $"{name}/{split}.*"))}";
}
