using CoFrGeNet.Configuration;
using CoFrGeNet.Generation;
using CoFrGeNet.Inference;
using CoFrGeNet.Interop;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;

namespace CoFrGeNet.Cli;

/// <summary>One model with random weights: as a torch model, and as folders of several types that the engine runs.</summary>
internal sealed class DecodingWorkload : IDisposable
{
    private readonly LanguageModel _torch;
    private readonly string _folder;
    private readonly int[] _tokens;
    private readonly Dictionary<string, InferenceModel> _engines = [];
    private readonly Dictionary<string, IDecodingSession[]> _sessions = [];

    /// <summary>Draws the weights and writes the folders.</summary>
    /// <param name="config">The model.</param>
    /// <param name="types">Types of the weights: f32, bf16, int8, int4.</param>
    /// <param name="prompt">Tokens of a prompt.</param>
    /// <param name="sequences">Most sequences at once.</param>
    /// <param name="threads">Threads of the engine; null: all cores.</param>
    public DecodingWorkload(ModelConfig config, IReadOnlyList<string> types, int prompt, int sequences, int? threads)
    {
        _folder = Directory.CreateTempSubdirectory("cofrgenet-bench-").FullName;
        TorchSharp.torch.manual_seed(1);
        _torch = new LanguageModel(config);
        _torch.eval();
        var random = new Random(1);
        _tokens = [.. Enumerable.Range(0, prompt).Select(_ => random.Next(config.VocabularySize))];
        var plain = Directory.CreateDirectory(Path.Combine(_folder, "f32")).FullName;
        ModelFolder.Save(plain, _torch, ByteTokenizer.Instance);
        foreach (var type in types)
        {
            var folder = Path.Combine(_folder, type);
            if (type != "f32")
            {
                using var input = ModelInput.Open(plain);
                ModelOutput.Write(input, folder, new OutputOptions { Quantize = Type(type) });
            }

            var engine = InferenceModel.Load(folder, new InferenceOptions { Threads = threads });
            _engines.Add(type, engine);
            _sessions.Add(type, [.. Enumerable.Range(0, sequences).Select(_ => engine.StartSession())]);
        }
    }

    /// <summary>Bytes of weights that one pass reads.</summary>
    /// <param name="type">Type of the weights.</param>
    public long PassBytes(string type) => _engines[type].PassBytes;

    /// <summary>Refuses to time anything wrong: logits of a prompt and of single tokens must be the torch model's, but for the rounding of the weights.</summary>
    /// <param name="type">Type of the weights.</param>
    /// <exception cref="InvalidOperationException">They are not.</exception>
    public void Check(string type)
    {
        using var reference = new TorchLanguageModel(_torch).StartSession();
        using var session = _engines[type].StartSession();
        var split = _tokens.Length - 3;
        for (var length = split; length <= _tokens.Length; length++)
        {
            var part = length == split ? _tokens.AsSpan(0, split) : _tokens.AsSpan(length - 1, 1);
            ReadOnlySpan<float> expected = reference.Append(part), actual = session.Append(part);
            double error = 0, size = 0;
            for (var i = 0; i < expected.Length; i++)
            {
                error += Math.Pow(expected[i] - actual[i], 2);
                size += Math.Pow(expected[i], 2);
            }

            // What twelve layers make of roundings to 8 bits, 7 below the largest weight of a row, and 3.
            var allowed = type switch { "f32" => 1e-4, "bf16" => 0.02, "int8" => 0.08, _ => 0.5 };
            if (!(Math.Sqrt(error / size) <= allowed))
            {
                throw new InvalidOperationException(FormattableString.Invariant($"{type}: the logits differ from the torch model's by {Math.Sqrt(error / size)} of their size; {allowed} is allowed."));
            }
        }
    }

    /// <summary>Gives some sequences the same prompt.</summary>
    /// <param name="type">Type of the weights.</param>
    /// <param name="length">Its length.</param>
    /// <param name="count">Number of sequences.</param>
    public void Start(string type, int length, int count)
    {
        foreach (var session in _sessions[type].Take(count))
        {
            session.Truncate(0);
            session.Append(_tokens.AsSpan(0, length));
        }
    }

    /// <summary>Decodes tokens of the first sequences, one of each at a time, and takes them back.</summary>
    /// <param name="type">Type of the weights.</param>
    /// <param name="tokens">Tokens of each sequence.</param>
    /// <param name="count">Number of sequences.</param>
    public void Decode(string type, int tokens, int count)
    {
        var sessions = _sessions[type][..count];
        var start = sessions[0].Length;
        var steps = new SessionTokens[count];
        for (var i = 0; i < tokens; i++)
        {
            var token = _tokens.AsMemory(i % _tokens.Length, 1);
            for (var j = 0; j < count; j++)
            {
                steps[j] = new SessionTokens(sessions[j], token);
            }

            _engines[type].Append(steps);
        }

        Array.ForEach(sessions, session => session.Truncate(start));
    }

    /// <summary>Reads the whole prompt.</summary>
    /// <param name="type">Type of the weights.</param>
    public void Prefill(string type)
    {
        _sessions[type][0].Truncate(0);
        _sessions[type][0].Append(_tokens);
    }

    /// <summary>The same with the torch model.</summary>
    public void TorchPrefill()
    {
        using var session = new TorchLanguageModel(_torch).StartSession();
        session.Append(_tokens);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var session in _sessions.Values.SelectMany(sessions => sessions))
        {
            session.Dispose();
        }

        foreach (var engine in _engines.Values)
        {
            engine.Dispose();
        }

        _torch.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static WeightType Type(string name) => name switch
    {
        "bf16" => WeightType.BFloat16,
        "int8" => WeightType.Int8,
        _ => WeightType.Int4,
    };
}
