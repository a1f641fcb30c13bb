using System.CommandLine;
using System.Net.Sockets;
using System.Text.Json;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;
using CoFrGeNet.Inference;
using CoFrGeNet.Server;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;

namespace CoFrGeNet.Cli;

/// <summary>serve: an OpenAI-compatible server with a page.</summary>
internal sealed class ServeVerb : Verb
{
    private const string Managed = "managed";
    private const string KeyVariable = "COFRGENET_API_KEY";

    private static readonly ServerOptions Defaults = new();

    private readonly Option<string[]> _model = VariableOption.CreateList("--model", "A model folder, or NAME=DIR; may be given several times", "DIR");
    private readonly Option<string> _host = VariableOption.Create("--host", "Address to listen on; 0.0.0.0 lets other machines in", "ADDRESS", Defaults.Host);
    private readonly Option<int> _port = VariableOption.Create("--port", "Port to listen on; 0: any free one", "N", Defaults.Port);
    private readonly Option<string?> _apiKeyFile = VariableOption.Create<string?>("--api-key-file", $"File of keys, one a line; clients must send one of them ({KeyVariable} holds a key itself)", "FILE", null);
    private readonly Option<bool> _allowPublic = VariableOption.Create("--allow-public", "Let everybody in who reaches the address, without a key", null, Defaults.AllowPublic);
    private readonly Option<string[]> _corsOrigin = VariableOption.CreateList("--cors-origin", "Origin whose pages may call the API, such as https://example.org; may be given several times", "ORIGIN");
    private readonly Option<string[]> _publicName = VariableOption.CreateList("--public-name", "Name other than localhost that a proxy on this machine calls the server by; may be given several times", "NAME");
    private readonly Option<int> _slots = VariableOption.Create("--slots", "Most sequences of a model that are computed at once", "N", Defaults.Slots);
    private readonly Option<int> _queueLimit = VariableOption.Create("--queue-limit", "Most requests of a model that wait", "N", Defaults.QueueLimit);
    private readonly Option<int> _maxChoices = VariableOption.Create("--max-choices", "Most prompts times choices of a request", "N", Defaults.MaxChoices);
    private readonly Option<int?> _maxPromptTokens = VariableOption.Create<int?>("--max-prompt-tokens", "Most tokens of a prompt [default: the model's context]", "N", null);
    private readonly Option<int?> _maxTokens = VariableOption.Create<int?>("--max-tokens", "Most tokens to generate for a choice [default: the model's context]", "N", null);
    private readonly Option<int> _maxLogprobs = VariableOption.Create("--max-logprobs", "Most likeliest tokens whose log-probabilities a request may ask for", "N", Defaults.MaxLogprobs);
    private readonly Option<int> _maxBodyBytes = VariableOption.Create("--max-body-bytes", "Most bytes of a request", "N", Defaults.MaxBodyBytes);
    private readonly Option<int> _maxConnections = VariableOption.Create("--max-connections", "Most connections at once", "N", Defaults.MaxConnections);
    private readonly Option<int> _requestSeconds = VariableOption.Create("--request-seconds", "Most seconds until a request is answered in full", "S", Defaults.RequestSeconds);
    private readonly Option<int> _receiveSeconds = VariableOption.Create("--receive-seconds", "Most seconds that a client may take to send a request", "S", Defaults.ReceiveSeconds);
    private readonly Option<int> _shutdownSeconds = VariableOption.Create("--shutdown-seconds", "Seconds that running requests have to finish when the server is stopped", "S", Defaults.ShutdownSeconds);
    private readonly Option<bool> _jsonLog = VariableOption.Create("--json-log", "Log lines as JSON objects", null, Defaults.JsonLog);
    private readonly Option<bool> _quiet = VariableOption.Create("--quiet", "No log line for each request", null, false);
    private readonly Option<string> _engine = VariableOption.Create("--engine", "managed (no libtorch, batches sequences) or torch", "NAME", Managed);
    private readonly Option<int?> _cacheMb = VariableOption.Create<int?>("--cache-mb", "Most MiB that the caches of a model's sequences take together; requests wait for room [default: no limit]", "N", null);
    private readonly TorchOptions _torch = new();

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public ServeVerb(ToolConsole console)
        : base("serve", "Serve models to any OpenAI client, and a page to try and compare them", console) =>
        Accept([
            _model, _host, _port, _apiKeyFile, _allowPublic, _corsOrigin, _publicName, _slots, _queueLimit, _maxChoices, _maxPromptTokens, _maxTokens, _maxLogprobs, _maxBodyBytes, _maxConnections,
            _requestSeconds, _receiveSeconds, _shutdownSeconds, _jsonLog, _quiet, _engine, _cacheMb, .. _torch.Options
        ]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var options = Settings(arguments).Validate(new ConfigCheck(member => member == "apiKey" ? $"{KeyVariable} or a line of --api-key-file" : "--" + JsonNamingPolicy.KebabCaseLower.ConvertName(member)));
        var folders = (arguments.GetValue(_model) ?? []).Select(Named).ToArray();
        foreach (var (_, folder) in folders)
        {
            ModelFolder.ReadConfig(folder);
        }

        if (folders.Length == 0)
        {
            throw new UserErrorException("There is no model to serve; give one with --model DIR, for example RUN/final.");
        }

        var owned = new List<IDisposable>();
        try
        {
            var load = Engine(arguments, owned);
            var served = folders.Select(named => Describe(load(named.Folder), named)).ToArray();
            return ServeAsync(options, served, IsJson(arguments)).GetAwaiter().GetResult();
        }
        finally
        {
            owned.ForEach(model => model.Dispose());
        }
    }

    private Func<string, ServedModel> Engine(ParseResult arguments, List<IDisposable> owned)
    {
        switch (arguments.GetValue(_engine))
        {
            case Managed:
                var options = new InferenceOptions { Threads = _torch.ThreadCount(arguments), CacheBytes = arguments.GetValue(_cacheMb) * (1L << 20) };
                options.Validate();
                return folder =>
                {
                    var model = InferenceModel.Load(folder, options);
                    owned.Add(model);
                    return Served(model, TokenizerFiles.Load(folder, ModelFolderConfig.Read(folder)), model.Config) with { CacheTokens = options.CacheBytes is null ? null : model.CacheCapacity };
                };
            case "torch":
                var device = _torch.Start(arguments);
                return folder =>
                {
                    var (model, tokenizer) = ModelFolder.Load(folder, device);
                    owned.Add(model);
                    return Served(new TorchLanguageModel(model), tokenizer, model.Config);
                };
            case var other:
                throw new UserErrorException($"--engine is '{other}'; allowed are managed and torch.");
        }
    }

    private static ServedModel Describe(ServedModel model, (string Name, string Folder) named) => model with
    {
        Name = named.Name,
        Template = Generation.ChatTemplate.ForFolder(named.Folder, model.Tokenizer),
        Jinja = Generation.ChatTemplate.ReadJinja(named.Folder),
    };

    private static ServedModel Served(Generation.ILanguageModel model, ITokenizer tokenizer, ModelConfig config) =>
        new() { Name = string.Empty, Model = model, Tokenizer = tokenizer, Parameters = ParameterCount.Of(config).Total };

    private async Task<int> ServeAsync(ServerOptions options, IReadOnlyList<ServedModel> models, bool json)
    {
        await using var server = ServerHost.Create(options, models);
        try
        {
            await server.StartAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            throw new UserErrorException($"--host {options.Host} --port {options.Port} cannot be listened on: {(error.InnerException ?? error).Message}. Another server may run there; --port 0 takes any free one.", error);
        }

        var address = server.Urls.First();
        if (json)
        {
            WriteJson(new { Address = address, Models = models.Select(model => model.Name) });
        }

        Tool.Error.WriteLine($"{string.Join(", ", models.Select(model => model.Name))} at {address} (page), {address}/v1 (API); Ctrl-C stops");
        var stopped = new TaskCompletionSource();
        using var registration = Tool.Stop.Register(() => stopped.TrySetResult());
        await stopped.Task.ConfigureAwait(false);
        await server.StopAsync(CancellationToken.None).ConfigureAwait(false);
        return ExitCode.Done;
    }

    private ServerOptions Settings(ParseResult arguments) => new()
    {
        Host = arguments.GetValue(_host)!,
        Port = arguments.GetValue(_port),
        ApiKeys = Keys(arguments.GetValue(_apiKeyFile)),
        AllowPublic = arguments.GetValue(_allowPublic),
        CorsOrigins = arguments.GetValue(_corsOrigin) ?? [],
        PublicNames = arguments.GetValue(_publicName) ?? [],
        Slots = arguments.GetValue(_slots),
        QueueLimit = arguments.GetValue(_queueLimit),
        MaxChoices = arguments.GetValue(_maxChoices),
        MaxPromptTokens = arguments.GetValue(_maxPromptTokens),
        MaxTokens = arguments.GetValue(_maxTokens),
        MaxLogprobs = arguments.GetValue(_maxLogprobs),
        MaxBodyBytes = arguments.GetValue(_maxBodyBytes),
        MaxConnections = arguments.GetValue(_maxConnections),
        RequestSeconds = arguments.GetValue(_requestSeconds),
        ReceiveSeconds = arguments.GetValue(_receiveSeconds),
        ShutdownSeconds = arguments.GetValue(_shutdownSeconds),
        JsonLog = arguments.GetValue(_jsonLog),
        AccessLog = !arguments.GetValue(_quiet),
    };

    // Not an option of its own: a command line is seen by every user of the machine.
    private static string[] Keys(string? file)
    {
        var key = Environment.GetEnvironmentVariable(KeyVariable)?.Trim();
        if (key is { Length: 0 })
        {
            // Whoever sets it wants a key to be asked for.
            throw new UserErrorException($"{KeyVariable} is set and empty; give it a key, or unset it.");
        }

        string[] own = key is null ? [] : [key];
        string[] lines = [];
        if (file is not null)
        {
            try
            {
                lines = [.. File.ReadAllLines(file).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#')];
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new UserErrorException($"--api-key-file {file} cannot be read: {error.Message}", error);
            }
        }

        return file is null || lines.Length > 0 ? [.. own, .. lines] : throw new UserErrorException($"--api-key-file {file} holds no key; write one a line.");
    }

    // RUN/final is called RUN: "final" names every run's model.
    private static (string Name, string Folder) Named(string given)
    {
        var equals = given.IndexOf('=', StringComparison.Ordinal);
        if (equals > 0 && !Directory.Exists(given))
        {
            return (given[..equals], given[(equals + 1)..]);
        }

        var folder = new DirectoryInfo(given);
        return (folder.Name == "final" && folder.Parent is { } run ? run.Name : folder.Name, given);
    }
}
