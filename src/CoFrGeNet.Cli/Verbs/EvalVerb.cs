using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Evaluation;
using CoFrGeNet.Storage;
using CoFrGeNet.Torch;

namespace CoFrGeNet.Cli;

/// <summary>eval: scores a model on tasks, with the names, options and result layout of lm-evaluation-harness.</summary>
internal sealed class EvalVerb : Verb
{
    private const string AutomaticBatch = "auto";
    private const int ShownCharacters = 1500;

    private static readonly EvaluationOptions Defaults = new();

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Option<string?> _model = new("--model") { Description = "A model folder, for example RUN/final", HelpName = "DIR" };
    private readonly Option<string?> _tasks = new("--tasks") { Description = "Tasks and groups, with commas between; 'list' shows them", HelpName = "A,B" };
    private readonly Option<string[]> _data = new("--data") { Description = "A folder with TASK/SPLIT.jsonl (.json, .csv, .tsv, .txt, .parquet; .gz), or task=FILE, or task:split=FILE; may be given several times", HelpName = "PLACE" };
    private readonly Option<bool> _download = new("--download") { Description = "Fetch data that is not local from the Hugging Face hub into a cache" };
    private readonly Option<string[]> _revision = new("--revision") { Description = "With --download: a data set's commit or branch, for example allenai/ai2_arc=COMMIT", HelpName = "REPO=REVISION" };
    private readonly Option<string?> _cache = new("--cache") { Description = "With --download: the cache [default: ~/.cache/cofrgenet/datasets]", HelpName = "DIR" };
    private readonly Option<string?> _split = new("--split") { Description = "Score another split than the task's own", HelpName = "NAME" };
    private readonly Option<int> _numFewshot = new("--num_fewshot") { Description = "Solved examples before each question", HelpName = "N", DefaultValueFactory = _ => Defaults.NumFewshot };
    private readonly Option<double?> _limit = new("--limit") { Description = "Records a task; below 1 a share of them [default: all]", HelpName = "N" };
    private readonly Option<string> _batchSize = new("--batch_size") { Description = "Sequences in one forward pass, or auto", HelpName = "N", DefaultValueFactory = _ => AutomaticBatch };
    private readonly Option<long> _seed = new("--seed") { Description = "Seed of the solved examples", HelpName = "N", DefaultValueFactory = _ => Defaults.Seed };
    private readonly Option<int> _bootstrap = new("--bootstrap_iters") { Description = "Bootstrap samples for standard errors; 0: no standard errors", HelpName = "N", DefaultValueFactory = _ => Defaults.BootstrapIters };
    private readonly Option<int?> _window = new("--window") { Description = "Window of corpus perplexities in tokens [default: the context length]", HelpName = "N" };
    private readonly Option<int?> _stride = new("--stride") { Description = "New tokens a window of corpus perplexities [default: the window]", HelpName = "N" };
    private readonly Option<string?> _outputPath = new("--output_path") { Description = "Folder for results, samples and the answers so far; a stopped evaluation goes on from there", HelpName = "DIR" };
    private readonly Option<bool> _logSamples = new("--log_samples") { Description = "Write each record with its questions and answers to --output_path" };
    private readonly Option<bool> _writeOut = new("--write_out") { Description = "Show the first questions of each task" };
    private readonly EngineOptions _engine = new(isManaged: false);

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public EvalVerb(ToolConsole console)
        : base("eval", "Score a model on tasks with the names, prompts and metrics of lm-evaluation-harness", console) => Accept(
        [
            _model, _tasks, _data, _split, _numFewshot, _limit, _batchSize, _outputPath, _logSamples, _writeOut, _seed, _bootstrap, _window, _stride, _download, _revision, _cache, .. _engine.Options,
        ]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var names = (arguments.GetValue(_tasks) ?? throw new UserErrorException("--tasks is missing; name tasks, for example --tasks piqa,arc_easy, or show them with --tasks list."))
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (names is ["list"])
        {
            return List(arguments);
        }

        TaskLibrary.Resolve(names);
        if (arguments.GetValue(_logSamples) && arguments.GetValue(_outputPath) is null)
        {
            throw new UserErrorException("--log_samples needs a folder to write to; give it with --output_path DIR.");
        }

        var folder = arguments.GetValue(_model) ?? throw new UserErrorException("--model is missing; give a model folder, for example --model RUN/final.");
        var options = ReadOptions(arguments).Validate(ModelFolder.ReadConfig(folder).Model.ContextLength);
        using var client = new HttpClient();
        var source = new DatasetSource(arguments.GetValue(_data) ?? [], Hub(arguments, client));
        return _engine.With(arguments, folder, (model, tokenizer) =>
        {
            using var cache = OpenCache(arguments.GetValue(_outputPath), folder, _engine.IsManaged(arguments));
            var evaluator = new Evaluator(model, tokenizer, source, options, cache);
            var started = DateTime.UtcNow;
            var display = new CountDisplay(Tool, "questions");
            var results = evaluator.Run(
                names, progress => display.Show(progress.Done, progress.All), questions => Announce(questions, arguments.GetValue(_writeOut)), Tool.Stop);
            display.Clear();
            return Report(results, arguments, folder, started);
        });
    }

    private int List(ParseResult arguments)
    {
        if (IsJson(arguments))
        {
            WriteJson(new { Tasks = TaskLibrary.Names });
            return ExitCode.Done;
        }

        foreach (var name in TaskLibrary.Names)
        {
            Tool.Output.WriteLine(TaskLibrary.FindGroup(name) is null ? name : $"{name} ({TaskLibrary.Leaves(name).Count()} tasks)");
        }

        return ExitCode.Done;
    }

    private EvaluationOptions ReadOptions(ParseResult arguments)
    {
        var batch = arguments.GetValue(_batchSize)!;
        if (batch != AutomaticBatch && !int.TryParse(batch, NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            throw new UserErrorException($"--batch_size is {batch}; allowed is 1 or more, or {AutomaticBatch}.");
        }

        return new EvaluationOptions
        {
            NumFewshot = arguments.GetValue(_numFewshot),
            Limit = arguments.GetValue(_limit),
            BatchSize = batch == AutomaticBatch ? null : int.Parse(batch, CultureInfo.InvariantCulture),
            Seed = arguments.GetValue(_seed),
            BootstrapIters = arguments.GetValue(_bootstrap),
            Split = arguments.GetValue(_split),
            Window = arguments.GetValue(_window),
            Stride = arguments.GetValue(_stride),
        };
    }

    private HubDatasets? Hub(ParseResult arguments, HttpClient client)
    {
        if (!arguments.GetValue(_download))
        {
            return null;
        }

        var revisions = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pin in arguments.GetValue(_revision) ?? [])
        {
            var equals = pin.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || equals == pin.Length - 1)
            {
                throw new UserErrorException($"--revision is {pin}; write REPO=REVISION, for example allenai/ai2_arc=refs/convert/parquet.");
            }

            revisions[pin[..equals]] = pin[(equals + 1)..];
        }

        // The variable by which the hub's own tools are pointed to a mirror.
        var address = Environment.GetEnvironmentVariable("HF_ENDPOINT") is { Length: > 0 } mirror ? mirror : HubDatasets.DefaultEndpoint;
        return Uri.TryCreate(address.TrimEnd('/') + "/", UriKind.Absolute, out var endpoint)
            ? new HubDatasets(client, endpoint, arguments.GetValue(_cache) ?? HubDatasets.DefaultCache, revisions, Tool.Error.WriteLine)
            : throw new UserErrorException($"HF_ENDPOINT is '{address}'; allowed is an address such as {HubDatasets.DefaultEndpoint}.");
    }

    private RequestCache OpenCache(string? outputPath, string modelFolder, bool isManaged)
    {
        if (outputPath is null)
        {
            return new RequestCache();
        }

        if (File.Exists(outputPath))
        {
            throw new UserErrorException($"--output_path {outputPath} is a file; give a folder.");
        }

        Directory.CreateDirectory(outputPath);
        // The engines differ in the last bits, so neither gets the other's answers.
        var model = (isManaged ? "managed-" : string.Empty) + Identity(modelFolder);
        var cache = new RequestCache(Path.Combine(outputPath, $"requests-{model[..(isManaged ? 20 : 12)]}.jsonl"), model);
        if (cache.Count > 0)
        {
            Tool.Error.WriteLine($"{cache.Count:N0} answers of earlier evaluations are in {outputPath} and are not asked for again");
        }

        return cache;
    }

    // The bytes of the weights and of what they mean: answers belong to them and not to a path.
    private static string Identity(string folder)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in Directory.GetFiles(folder).Where(file => Path.GetExtension(file) is ".json" or ".safetensors").Order(StringComparer.Ordinal))
        {
            using var content = File.OpenRead(file);
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(file)));
            hash.AppendData(SHA256.HashData(content));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private void Announce(TaskQuestions questions, bool writeOut)
    {
        Tool.Error.WriteLine($"{questions.Task.Name}: {questions.Samples.Count:N0} of {questions.RecordCount:N0} records, split {questions.Split}, {questions.FewShot}-shot");
        if (questions.Protocol is { } protocol)
        {
            Tool.Error.WriteLine($"{questions.Task.Name}: {protocol}");
        }

        if (!writeOut || questions.Samples.Count == 0)
        {
            return;
        }

        foreach (var request in questions.Samples[0].Requests)
        {
            Tool.Error.WriteLine(request switch
            {
                ContinuationRequest pair => $"!!@@##@@!! context\n{pair.Context}\n!!@@##@@!! continuation\n{pair.Continuation}",
                RollingRequest rolling => $"!!@@##@@!! text\n{(rolling.Text.Length > ShownCharacters ? rolling.Text[..ShownCharacters] + " .." : rolling.Text)}",
                _ => string.Empty,
            });
        }
    }

    private int Report(EvaluationResults results, ParseResult arguments, string folder, DateTime started)
    {
        var document = results.ToJson(new JsonObject
        {
            ["model"] = "cofrgenet",
            ["model_args"] = $"model={Path.GetFullPath(folder)}",
            ["model_num_parameters"] = Accounting.ParameterCount.Of(ModelFolder.ReadConfig(folder).Model).Total,
        });
        document["date"] = new DateTimeOffset(started).ToUnixTimeSeconds();
        document["total_evaluation_time_seconds"] = Math.Round((DateTime.UtcNow - started).TotalSeconds, 3);
        if (arguments.GetValue(_outputPath) is { } output)
        {
            Write(output, results, document, arguments.GetValue(_logSamples), started);
        }

        if (IsJson(arguments))
        {
            Tool.Output.WriteLine(document.ToJsonString(Indented));
            return ExitCode.Done;
        }

        Tool.Output.Write(ResultsTable.Format(results));
        foreach (var task in results.Tasks.Where(task => task.Questions.Protocol is not null))
        {
            Tool.Output.WriteLine($"{task.Questions.Task.Name}: {task.Questions.Protocol}");
        }

        return ExitCode.Done;
    }

    // Dated as the harness dates them, so that no run writes over another.
    private void Write(string output, EvaluationResults results, JsonObject document, bool samples, DateTime started)
    {
        var stamp = started.ToString("yyyy-MM-dd'T'HH-mm-ss.ffffff", CultureInfo.InvariantCulture);
        var file = Path.Combine(output, $"results_{stamp}.json");
        DurableFile.Write(file, Encoding.UTF8.GetBytes(document.ToJsonString(Indented) + "\n"));
        Tool.Error.WriteLine($"results {file}");
        foreach (var task in samples ? results.Tasks : [])
        {
            DurableFile.Write(Path.Combine(output, $"samples_{task.Questions.Task.Name}_{stamp}.jsonl"), stream =>
            {
                foreach (var line in EvaluationResults.Samples(task))
                {
                    stream.Write(Encoding.UTF8.GetBytes(line.ToJsonString(OneLine) + "\n"));
                }
            });
        }
    }
}
