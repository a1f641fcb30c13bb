using System.Net;
using System.Text;
using CoFrGeNet.Tests;
using Parquet.Serialization;

namespace CoFrGeNet.Evaluation.Tests;

public sealed class HubDatasetsTests : IDisposable
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private static readonly DatasetReference Dataset = TaskLibrary.Get("piqa").Dataset;

    private readonly TemporaryFolder _folder = new();
    private readonly HttpClient _client = new();
    private readonly List<string> _log = [];

    public void Dispose()
    {
        _client.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_split_is_fetched_once_and_read_from_the_cache_afterwards()
    {
        using var hub = await Hub();
        var source = new DatasetSource([], Client(hub));
        Assert.Equal(["one", "two"], source.Read("piqa", null, Dataset, "validation").Select(record => record.Text("goal")));
        Assert.Equal(4, hub.Requests.Count);
        Assert.Equal(["0000.parquet", "0001.parquet"], Client(hub).Fetch(Dataset, "validation").Select(path => Path.GetFileName(path)));
        // Which commit the branch has is asked again, the files are not.
        Assert.Equal(5, hub.Requests.Count);
    }

    [Fact]
    public async Task A_pinned_commit_needs_no_network_once_it_is_there()
    {
        using var hub = await Hub();
        Client(hub, Commit).Fetch(Dataset, "validation");
        hub.Requests.Clear();
        Assert.NotEmpty(Client(hub, Commit).Fetch(Dataset, "validation"));
        Assert.Empty(hub.Requests);
    }

    [Fact]
    public async Task Without_the_hub_the_last_commit_in_the_cache_serves()
    {
        using var hub = await Hub();
        Client(hub).Fetch(Dataset, "validation");
        hub.Failure = HttpStatusCode.ServiceUnavailable;
        Assert.NotEmpty(Client(hub).Fetch(Dataset, "validation"));
        Assert.Contains(_log, line => line.Contains("from the cache as of commit " + Commit, StringComparison.Ordinal));
    }

    [Fact]
    public void Without_network_and_cache_the_message_says_what_to_do()
    {
        // Port 1 of this machine: nobody listens there.
        var hub = new HubDatasets(_client, new Uri("http://127.0.0.1:1/"), _folder.File("cache"));
        var error = Assert.Throws<UserErrorException>(() => hub.Fetch(Dataset, "validation"));
        Assert.Contains("Without a network give the data with --data DIR or --data task=FILE", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public async Task What_the_hub_does_not_have_is_told_and_leaves_nothing_half()
    {
        using var hub = await Hub();
        Assert.Contains("404", Assert.Throws<UserErrorException>(() => Client(hub).Fetch(Dataset, "nowhere")).Message);
        Assert.Contains("404", Assert.Throws<UserErrorException>(() => Client(hub, "branch").Fetch(Dataset, "validation")).Message);
        Assert.DoesNotContain(Directory.EnumerateDirectories(_folder.Root, "*", SearchOption.AllDirectories), path => path.Contains("partial", StringComparison.Ordinal));
    }

    private HubDatasets Client(FakeHub hub, string? revision = null) => new(
        _client, hub.Endpoint, _folder.File("cache"), revision is null ? null : new Dictionary<string, string> { [Dataset.Repository] = revision }, _log.Add);

    private static async Task<FakeHub> Hub()
    {
        var tree = $"api/datasets/{Dataset.Repository}/tree/{Commit}/default/validation";
        var content = new Dictionary<string, byte[]>
        {
            [$"api/datasets/{Dataset.Repository}/revision/refs%2Fconvert%2Fparquet"] = Encoding.UTF8.GetBytes($$"""{"sha":"{{Commit}}"}"""),
            [tree] = """[{"path":"default/validation/0000.parquet"},{"path":"default/validation/0001.parquet"},{"path":"default/validation/README.md"}]"""u8.ToArray(),
        };
        foreach (var (name, goal) in new[] { ("0000", "one"), ("0001", "two") })
        {
            using var file = new MemoryStream();
            await ParquetSerializer.SerializeAsync([new Row { goal = goal }], file, cancellationToken: TestContext.Current.CancellationToken);
            content[$"datasets/{Dataset.Repository}/resolve/{Commit}/default/validation/{name}.parquet"] = file.ToArray();
        }

        return new FakeHub(content);
    }

    private sealed class Row
    {
#pragma warning disable IDE1006 // The field has this name on the hub.
        public string goal { get; set; } = "";
#pragma warning restore IDE1006
    }
}
