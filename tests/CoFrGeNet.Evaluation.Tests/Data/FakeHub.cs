using System.Net;

namespace CoFrGeNet.Evaluation.Tests;

/// <summary>A hub on this machine that serves given paths and counts its requests.</summary>
internal sealed class FakeHub : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Dictionary<string, byte[]> _content;

    public FakeHub(Dictionary<string, byte[]> content)
    {
        _content = content;
        // A port that is free now may be taken a moment later by another test run.
        for (var port = 20000 + Random.Shared.Next(20000); ; port++)
        {
            try
            {
                Endpoint = new Uri($"http://127.0.0.1:{port}/");
                _listener.Prefixes.Clear();
                _listener.Prefixes.Add(Endpoint.ToString());
                _listener.Start();
                break;
            }
            catch (HttpListenerException)
            {
            }
        }

        _ = Task.Run(Serve);
    }

    public Uri Endpoint { get; }

    public List<string> Requests { get; } = [];

    public HttpStatusCode? Failure { get; set; }

    public void Dispose() => _listener.Close();

    private async Task Serve()
    {
        while (_listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            var path = context.Request.RawUrl!.TrimStart('/');
            Requests.Add(path);
            var found = _content.TryGetValue(path, out var body) && Failure is null;
            context.Response.StatusCode = (int)(found ? HttpStatusCode.OK : Failure ?? HttpStatusCode.NotFound);
            context.Response.Close(found ? body! : [], willBlock: false);
        }
    }
}
