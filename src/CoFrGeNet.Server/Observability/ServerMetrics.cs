using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace CoFrGeNet.Server;

/// <summary>What the server measures of itself, under vLLM's names with the prefix <c>cofrgenet</c>.</summary>
internal sealed class ServerMetrics : IDisposable
{
    /// <summary>Name of the meter and of the traces' source.</summary>
    public const string SourceName = "CoFrGeNet.Server";

    private static readonly double[] Seconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 300];
    private static readonly double[] Tokens = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

    private readonly Meter _meter = new(SourceName);
    private readonly Counter<long> _promptTokens;
    private readonly Counter<long> _generationTokens;
    private readonly Counter<long> _successes;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _betweenTokens;
    private readonly Histogram<double> _whole;
    private readonly Histogram<double> _queue;
    private readonly Histogram<double> _pass;
    private readonly Histogram<long> _requestPromptTokens;
    private readonly Histogram<long> _requestGenerationTokens;
    private readonly Histogram<long> _passSequences;

    /// <summary>Creates the instruments.</summary>
    public ServerMetrics()
    {
        _promptTokens = _meter.CreateCounter<long>("cofrgenet_prompt_tokens", description: "Tokens of prompts");
        _generationTokens = _meter.CreateCounter<long>("cofrgenet_generation_tokens", description: "Tokens generated");
        _successes = _meter.CreateCounter<long>("cofrgenet_request_success", description: "Choices finished, by reason");
        _firstToken = InSeconds("cofrgenet_time_to_first_token", "From a request's arrival to its first token");
        _betweenTokens = InSeconds("cofrgenet_inter_token_latency", "Between two tokens of a sequence");
        _whole = InSeconds("cofrgenet_e2e_request_latency", "From a request's arrival to its end");
        _queue = InSeconds("cofrgenet_request_queue_time", "From a request's arrival to a slot");
        _pass = InSeconds("cofrgenet_iteration_time", "One pass through the model");
        _requestPromptTokens = InTokens("cofrgenet_request_prompt_tokens", "Prompt tokens of a request");
        _requestGenerationTokens = InTokens("cofrgenet_request_generation_tokens", "Tokens generated for a request");
        _passSequences = InTokens("cofrgenet_iteration_sequences", "Sequences of one pass");
    }

    /// <summary>Adds gauges that ask the schedulers when somebody looks.</summary>
    /// <param name="schedulers">The schedulers by the name of their model.</param>
    public void Watch(IReadOnlyDictionary<string, Scheduler> schedulers)
    {
        _meter.CreateObservableGauge("cofrgenet_num_requests_running", () => schedulers.Select(pair => new Measurement<long>(pair.Value.Running, Of(pair.Key))), description: "Sequences that have a slot");
        _meter.CreateObservableGauge("cofrgenet_num_requests_waiting", () => schedulers.Select(pair => new Measurement<long>(pair.Value.Waiting, Of(pair.Key))), description: "Requests that wait for a slot");
    }

    /// <summary>A pass ended.</summary>
    public void Passed(string model, int sequences, TimeSpan time)
    {
        _pass.Record(time.TotalSeconds, Of(model));
        _passSequences.Record(sequences, Of(model));
    }

    /// <summary>A sequence drew a token.</summary>
    public void Drew(string model, long since, bool isFirst) => (isFirst ? _firstToken : _betweenTokens).Record(Stopwatch.GetElapsedTime(since).TotalSeconds, Of(model));

    /// <summary>A sequence got a slot.</summary>
    public void Queued(string model, long since) => _queue.Record(Stopwatch.GetElapsedTime(since).TotalSeconds, Of(model));

    /// <summary>A choice ended as it should.</summary>
    public void Finished(string model, string reason) => _successes.Add(1, Of(model), new KeyValuePair<string, object?>("finished_reason", reason));

    /// <summary>A request was answered.</summary>
    public void Answered(string model, long since, int promptTokens, int generatedTokens)
    {
        _whole.Record(Stopwatch.GetElapsedTime(since).TotalSeconds, Of(model));
        _promptTokens.Add(promptTokens, Of(model));
        _generationTokens.Add(generatedTokens, Of(model));
        _requestPromptTokens.Record(promptTokens, Of(model));
        _requestGenerationTokens.Record(generatedTokens, Of(model));
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private static KeyValuePair<string, object?> Of(string model) => new("model_name", model);

    private Histogram<double> InSeconds(string name, string description) =>
        _meter.CreateHistogram(name, "s", description, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = Seconds });

    private Histogram<long> InTokens(string name, string description) =>
        _meter.CreateHistogram(name, null, description, null, new InstrumentAdvice<long> { HistogramBucketBoundaries = [.. Tokens.Select(bound => (long)bound)] });
}
