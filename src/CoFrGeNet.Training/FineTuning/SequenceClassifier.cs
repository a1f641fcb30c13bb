using System.Text.Json;
using CoFrGeNet.Storage;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;
using CoFrGeNet.Weights;
using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>What a classifier's folder says beside the model: <c>classifier.json</c>.</summary>
public sealed record ClassifierConfig
{
    /// <summary>Name of the task.</summary>
    public required string Task { get; init; }

    /// <summary>The classes in the order of the head's outputs; empty: one output that is a number.</summary>
    public required IReadOnlyList<string> Classes { get; init; }

    /// <summary>Most tokens of an example.</summary>
    public required int MaxLength { get; init; }
}

/// <summary>
/// A language model with a head that reads the final norm's output at the last token of a text, which is the end-of-text token. Texts are
/// padded on the right; every mixer is causal, so padding changes nothing.
/// </summary>
/// <remarks>Letters: B texts, T tokens of the longest, p width, C classes. Owns its model.</remarks>
public sealed class SequenceClassifier : nn.Module<Tensor, Tensor, Tensor>
{
    private const string ConfigFile = "classifier.json";
    private const string HeadFile = "classifier.safetensors";
    private const string HeadName = "score.weight";

    [ComponentName(Name = "model")]
    private readonly LanguageModel _model;

    // C x p, without a bias as in GPT-2's classifier.
    [ComponentName(Name = "score")]
    private readonly Parameter _score;

    private readonly ITokenizer _tokenizer;

    /// <summary>Puts a freshly drawn head on a model.</summary>
    /// <param name="model">The model; owned from here on.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="config">Classes and length.</param>
    /// <exception cref="UserErrorException">The tokenizer has no end-of-text token.</exception>
    public SequenceClassifier(LanguageModel model, ITokenizer tokenizer, ClassifierConfig config)
        : base(nameof(SequenceClassifier))
    {
        _model = model;
        _tokenizer = tokenizer;
        Config = config;
        EndOfText = tokenizer.EndOfTextId ?? throw new UserErrorException($"The tokenizer '{tokenizer.Name}' has no end-of-text token, from which a classifier reads.");
        using var std = model.Config.InitialStd.ToScalar();
        var score = randn([Math.Max(1, config.Classes.Count), model.Config.Width], dtype: ScalarType.Float32, device: model.Device);
        _score = new Parameter(score.mul_(std));
        RegisterComponents();
    }

    /// <summary>The model under the head.</summary>
    public LanguageModel Model => _model;

    /// <summary>The head's weights, C x p.</summary>
    public Parameter Score => _score;

    /// <summary>Classes and length.</summary>
    public ClassifierConfig Config { get; }

    private int EndOfText { get; }

    /// <summary>Reads a folder that <see cref="Save"/> wrote.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where the model goes; null: the CPU.</param>
    /// <exception cref="UserErrorException">A file is missing, damaged, or does not fit the others.</exception>
    public static SequenceClassifier Load(string folder, Device? device = null)
    {
        var path = Path.Combine(folder, ConfigFile);
        if (!File.Exists(path))
        {
            throw new UserErrorException($"{folder} holds no classifier (it has no {ConfigFile}); give a folder that 'finetune --task' wrote.");
        }

        var config = Configuration.StrictJson.Read(
            Configuration.StrictJson.Parse(File.ReadAllText(path), path), TrainingJsonContext.Default.ClassifierConfig, path);
        var (model, tokenizer) = ModelFolder.Load(folder, device);
        var classifier = new SequenceClassifier(model, tokenizer, config);
        try
        {
            using var file = SafeTensorsFile.Open(Path.Combine(folder, HeadFile));
            TensorWeights.Load(file, [(HeadName, classifier._score)]);
            classifier.eval();
            return classifier;
        }
        catch (Exception e) when (e is WeightsFormatException or IOException)
        {
            classifier.Dispose();
            throw new UserErrorException($"{folder}: the classifier's head cannot be read ({e.Message.TrimEnd('.')}).", e);
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>Writes model, tokenizer and head into a folder.</summary>
    /// <param name="folder">An existing folder.</param>
    public void Save(string folder)
    {
        ModelFolder.Save(folder, _model, _tokenizer);
        SafeTensorsWriter.Write(Path.Combine(folder, HeadFile), [TensorWeights.Entry(HeadName, _score)]);
        DurableFile.Write(Path.Combine(folder, ConfigFile), JsonSerializer.SerializeToUtf8Bytes(Config, TrainingJsonContext.Default.ClassifierConfig));
    }

    /// <summary>The ids of an example: the text, and behind an end-of-text token the second one; an end-of-text token last. The longer text is cut.</summary>
    /// <param name="example">The example.</param>
    public int[] Encode(LabeledText example)
    {
        int[] first = _tokenizer.Encode(example.Text), second = example.Text2 is { } text ? _tokenizer.Encode(text) : [];
        var room = Config.MaxLength - (example.Text2 is null ? 1 : 2);
        var excess = Math.Max(0, first.Length + second.Length - room);
        // Off the longer one until both are equal, then off each in turn.
        var fromFirst = Math.Clamp((first.Length - second.Length + excess + 1) / 2, Math.Max(0, excess - second.Length), Math.Min(excess, first.Length));
        first = first[..^fromFirst];
        second = second[..^(excess - fromFirst)];
        return example.Text2 is null ? [.. first, EndOfText] : [.. first, EndOfText, .. second, EndOfText];
    }

    /// <summary>Scores of texts.</summary>
    /// <param name="tokens">int64 [B, T], padded on the right.</param>
    /// <param name="last">int64 [B]: the position of each text's last token.</param>
    /// <returns>float32 [B, C].</returns>
    public override Tensor forward(Tensor tokens, Tensor last)
    {
        using var scope = NewDisposeScope();
        var hidden = _model.Hidden(tokens);
        using Scalar first = 0L.ToScalar(), end = tokens.shape[0].ToScalar(), length = tokens.shape[1].ToScalar();
        var rows = last.add(arange(first, end, ScalarType.Int64, tokens.device), length);
        var summary = hidden.flatten(0, 1).index_select(0, rows).to(ScalarType.Float32);
        return nn.functional.linear(summary, _score).MoveToOuterDisposeScope();
    }

    /// <summary>Scores of encoded examples.</summary>
    /// <param name="examples">Ids as <see cref="Encode"/> gives them; at least one.</param>
    /// <returns>float32 [B, C].</returns>
    public Tensor Scores(IReadOnlyList<int[]> examples)
    {
        using var scope = NewDisposeScope();
        var longest = examples.Max(example => example.Length);
        var ids = new long[examples.Count * longest];
        Array.Fill(ids, EndOfText);
        for (var i = 0; i < examples.Count; i++)
        {
            for (var j = 0; j < examples[i].Length; j++)
            {
                ids[(i * longest) + j] = examples[i][j];
            }
        }

        var last = examples.Select(example => example.Length - 1L).ToArray();
        return forward(tensor(ids, [examples.Count, longest], device: _model.Device), tensor(last, device: _model.Device)).MoveToOuterDisposeScope();
    }

    /// <summary>Predictions for examples, in evaluation mode; the mode before comes back.</summary>
    /// <param name="examples">The examples.</param>
    /// <param name="batchSize">Examples in one pass.</param>
    /// <returns>Scores of each example, one a class or the one number.</returns>
    public IReadOnlyList<float[]> Predict(IReadOnlyList<LabeledText> examples, int batchSize = 64)
    {
        var encoded = examples.Select(Encode).ToArray();
        var order = Enumerable.Range(0, encoded.Length).OrderBy(i => encoded[i].Length).ToArray();
        var scores = new float[encoded.Length][];
        var mode = training;
        eval();
        try
        {
            using var quiet = inference_mode();
            foreach (var batch in order.Chunk(batchSize))
            {
                using var scope = NewDisposeScope();
                var values = Scores([.. batch.Select(i => encoded[i])]).cpu().data<float>().ToArray();
                var width = values.Length / batch.Length;
                for (var i = 0; i < batch.Length; i++)
                {
                    scores[batch[i]] = values[(i * width)..((i + 1) * width)];
                }
            }
        }
        finally
        {
            train(mode);
        }

        return scores;
    }
}
