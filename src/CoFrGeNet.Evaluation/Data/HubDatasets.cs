using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Evaluation;

/// <summary>
/// Fetches data sets from the Hugging Face hub into a cache: the Parquet files that the hub keeps of every public data set in its branch
/// <c>refs/convert/parquet</c>. A branch is resolved to a commit first, so that a file in the cache never changes its meaning.
/// </summary>
public sealed class HubDatasets
{
    /// <summary>The hub.</summary>
    public const string DefaultEndpoint = "https://huggingface.co";

    /// <summary>The branch with Parquet files of data sets of every kind.</summary>
    public const string ParquetBranch = "refs/convert/parquet";

    private const string CommitFile = "commit";

    private readonly HttpClient _client;
    private readonly Uri _endpoint;
    private readonly string _cache;
    private readonly IReadOnlyDictionary<string, string> _revisions;
    private readonly Action<string> _log;

    /// <summary>Creates the client.</summary>
    /// <param name="client">Sends the requests; owned by the caller.</param>
    /// <param name="endpoint">The hub's address.</param>
    /// <param name="cache">Folder of the cache; made when needed.</param>
    /// <param name="revisions">Revisions by repository; others take the newest commit of <see cref="ParquetBranch"/>.</param>
    /// <param name="log">Hears of each download.</param>
    public HubDatasets(HttpClient client, Uri endpoint, string cache, IReadOnlyDictionary<string, string>? revisions = null, Action<string>? log = null)
    {
        _client = client;
        _endpoint = endpoint;
        _cache = cache;
        _revisions = revisions ?? new Dictionary<string, string>();
        _log = log ?? (_ => { });
    }

    /// <summary>Where data is kept unless said otherwise: <c>$XDG_CACHE_HOME/cofrgenet/datasets</c>.</summary>
    public static string DefaultCache => Path.Combine(
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } folder
            ? folder
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"),
        "cofrgenet",
        "datasets");

    /// <summary>The files of a split, from the cache or fetched into it.</summary>
    /// <param name="dataset">Which data.</param>
    /// <param name="split">Which split.</param>
    /// <returns>Paths of Parquet files, in their order.</returns>
    /// <exception cref="UserErrorException">The hub cannot be reached, or does not have it.</exception>
    public IReadOnlyList<string> Fetch(DatasetReference dataset, string split)
    {
        var pinned = _revisions.GetValueOrDefault(dataset.Repository);
        var repository = Path.Combine(_cache, dataset.Repository.Replace('/', Path.DirectorySeparatorChar));
        // A commit that is known needs no network: neither a pinned one, nor the last one seen when the hub is out of reach.
        var commit = pinned is { Length: 40 } ? pinned : Resolve(dataset, pinned ?? ParquetBranch, Path.Combine(repository, CommitFile), split);
        var folder = Path.Combine(repository, commit, dataset.Configuration, split);
        if (!Directory.Exists(folder))
        {
            Download(dataset, split, commit, folder);
        }

        return [.. Directory.GetFiles(folder, "*.parquet").Order(StringComparer.Ordinal)];
    }

    private string Resolve(DatasetReference dataset, string revision, string commitFile, string split)
    {
        try
        {
            var answer = GetJson(dataset, $"api/datasets/{dataset.Repository}/revision/{Uri.EscapeDataString(revision)}");
            var commit = answer["sha"]?.ToString() is { Length: > 0 } sha && sha.All(char.IsAsciiLetterOrDigit)
                ? sha
                : throw new UserErrorException($"The hub's answer about {dataset.Repository} names no commit.");
            Directory.CreateDirectory(Path.GetDirectoryName(commitFile)!);
            DurableFile.Write(commitFile, System.Text.Encoding.ASCII.GetBytes(commit));
            return commit;
        }
        catch (HubUnreachableException e) when (File.Exists(commitFile))
        {
            var known = File.ReadAllText(commitFile);
            _log($"the hub cannot be reached ({e.Message}); taking {dataset.Repository}, split {split}, from the cache as of commit {known}");
            return known;
        }
        catch (HubUnreachableException e)
        {
            throw Offline(dataset, e);
        }
    }

    private void Download(DatasetReference dataset, string split, string commit, string folder)
    {
        var path = $"{dataset.Configuration}/{split}";
        try
        {
            var entries = GetJson(dataset, $"api/datasets/{dataset.Repository}/tree/{commit}/{Escape(path)}").AsArray();
            var files = entries.Select(entry => entry?["path"]?.ToString() ?? string.Empty)
                .Where(file => file.EndsWith(".parquet", StringComparison.Ordinal)).ToArray();
            if (files.Length == 0)
            {
                throw new UserErrorException($"{dataset.Repository} has no Parquet files in {path} at {commit}.");
            }

            AtomicDirectory.Create(folder, aside =>
            {
                foreach (var file in files)
                {
                    _log($"fetching {dataset.Repository}/{file}");
                    using var response = Send(dataset, $"datasets/{dataset.Repository}/resolve/{commit}/{Escape(file)}");
                    using var content = response.Content.ReadAsStream();
                    DurableFile.Write(Path.Combine(aside, Path.GetFileName(file)), content.CopyTo);
                }
            });
        }
        catch (HubUnreachableException e)
        {
            throw Offline(dataset, e);
        }
    }

    private JsonNode GetJson(DatasetReference dataset, string path)
    {
        using var response = Send(dataset, path);
        try
        {
            return response.Content.ReadFromJsonAsync<JsonNode>().GetAwaiter().GetResult() ?? new JsonObject();
        }
        catch (JsonException e)
        {
            throw new UserErrorException($"The hub's answer about {dataset.Repository} is no JSON.", e);
        }
    }

    private HttpResponseMessage Send(DatasetReference dataset, string path)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_endpoint, path));
            var response = _client.Send(request, HttpCompletionOption.ResponseHeadersRead);
            if (response.IsSuccessStatusCode)
            {
                return response;
            }

            response.Dispose();
            throw (int)response.StatusCode >= 500
                ? new HubUnreachableException($"it answered {(int)response.StatusCode}")
                : new UserErrorException(response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.NotFound
                    ? $"The hub has no public {dataset.Repository} at '{path}' ({(int)response.StatusCode}); check the revision, or give the data with --data."
                    : $"The hub answered {(int)response.StatusCode} for {dataset.Repository}.");
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            throw new HubUnreachableException(e.Message, e);
        }
    }

    private static string Escape(string path) => string.Join('/', path.Split('/').Select(Uri.EscapeDataString));

    private UserErrorException Offline(DatasetReference dataset, HubUnreachableException e) =>
        new($"Cannot fetch {dataset.Repository} from {_endpoint}: {e.Message.TrimEnd('.')}. Without a network give the data with --data DIR or --data task=FILE.", e);

    private sealed class HubUnreachableException : Exception
    {
        public HubUnreachableException(string message, Exception? inner = null)
            : base(message.ReplaceLineEndings(" "), inner)
        {
        }
    }
}
