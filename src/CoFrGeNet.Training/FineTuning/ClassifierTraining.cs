using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>What is trained on and chosen by.</summary>
/// <param name="Train">Training examples.</param>
/// <param name="Validation">Examples that choose the best checkpoint.</param>
/// <param name="Tests">Further sets that are scored at the end, by name.</param>
public sealed record ClassificationSets(
    IReadOnlyList<LabeledText> Train, IReadOnlyList<LabeledText> Validation, IReadOnlyDictionary<string, IReadOnlyList<LabeledText>> Tests);

/// <summary>The outcome of one seed.</summary>
/// <param name="Seed">The seed: of the head and of the order of examples.</param>
/// <param name="BestEpoch">The epoch whose weights were kept, from 1.</param>
/// <param name="History">The main figure on the validation examples after each epoch.</param>
/// <param name="Validation">All figures on the validation examples with the weights kept.</param>
/// <param name="Tests">The same on further sets.</param>
public sealed record ClassifierOutcome(
    int Seed, int BestEpoch, IReadOnlyList<double> History, ClassifierScores Validation, IReadOnlyDictionary<string, ClassifierScores> Tests);

/// <summary>Fine-tunes a classifier: a pass over all examples in a new order an epoch, scored after each; the best weights are kept.</summary>
public static class ClassifierTraining
{
    /// <summary>Trains one classifier.</summary>
    /// <param name="modelFolder">The model to start from.</param>
    /// <param name="task">What is learnt.</param>
    /// <param name="sets">The examples.</param>
    /// <param name="config">How it is learnt.</param>
    /// <param name="seed">Seed of the head and of the order of examples.</param>
    /// <param name="progress">Hears of every step.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <param name="stop">Asks for an end; nothing is kept.</param>
    /// <returns>The classifier in evaluation mode, low-rank additions merged, and its figures.</returns>
    /// <exception cref="UserErrorException">The model, the configuration or the labels do not fit.</exception>
    /// <exception cref="TrainingFailedException">The loss is no finite number.</exception>
    public static (SequenceClassifier Classifier, ClassifierOutcome Outcome) Run(
        string modelFolder,
        ClassificationTask task,
        ClassificationSets sets,
        FineTuningConfig config,
        int seed,
        Action<FineTuningProgress>? progress = null,
        Device? device = null,
        CancellationToken stop = default)
    {
        var classifier = Create(modelFolder, task, sets.Train, config, seed, device);
        try
        {
            var (epoch, history) = Train(classifier, task, sets, config, seed, progress, stop);
            classifier.eval();
            var outcome = new ClassifierOutcome(
                seed, epoch, history, ClassifierScores.Of(classifier, sets.Validation), sets.Tests.ToDictionary(test => test.Key, test => ClassifierScores.Of(classifier, test.Value)));
            return (classifier, outcome);
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    private static SequenceClassifier Create(
        string modelFolder, ClassificationTask task, IReadOnlyList<LabeledText> train, FineTuningConfig config, int seed, Device? device)
    {
        manual_seed(seed);
        var (model, tokenizer) = ModelFolder.Load(modelFolder, device);
        config.Validate(model.Config);
        if (config.FromScratch)
        {
            var shape = model.Config;
            model.Dispose();
            model = new LanguageModel(shape, device);
        }

        var classes = task.IsRegression ? [] : ClassificationData.Classes(train);
        var head = new ClassifierConfig { Task = task.Name, Classes = classes, MaxLength = config.ResolveMaxLength(model.Config) };
        var classifier = new SequenceClassifier(model, tokenizer, head);
        if (config.Lora is { } lora)
        {
            model.Adapt(lora);
        }

        return classifier;
    }

    private static (int BestEpoch, IReadOnlyList<double> History) Train(
        SequenceClassifier classifier, ClassificationTask task, ClassificationSets sets, FineTuningConfig config, int seed, Action<FineTuningProgress>? progress, CancellationToken stop)
    {
        var encoded = sets.Train.Select(classifier.Encode).ToArray();
        using var targets = Targets(classifier, sets.Train);
        var stepsAnEpoch = (encoded.Length + config.BatchSize - 1) / config.BatchSize;
        var training = config.ToTraining(classifier.Model.Config, config.Epochs * stepsAnEpoch, seed);
        using var loop = new FineTuningLoop(classifier, classifier.Model, [("score", classifier.Score)], training);
        var order = new WindowOrder(encoded.Length, seed);
        var history = new List<double>();
        for (var epoch = 0; epoch < config.Epochs; epoch++)
        {
            classifier.train();
            for (var first = 0; first < encoded.Length; first += config.BatchSize)
            {
                stop.ThrowIfCancellationRequested();
                var count = Math.Min(config.BatchSize, encoded.Length - first);
                var start = ((long)epoch * encoded.Length) + first;
                var batch = Enumerable.Range(0, count).Select(i => order.At(start + i)).ToArray();
                var loss = loop.TakeStep(() => Loss(classifier, [.. batch.Select(i => encoded[i])], targets, batch));
                progress?.Invoke(new FineTuningProgress(seed, loop.Step, training.Steps, loss));
            }

            history.Add(ClassifierScores.Of(classifier, sets.Validation).Figures[task.MainMetric]);
            if (history[^1] > history.SkipLast(1).DefaultIfEmpty(double.NegativeInfinity).Max())
            {
                loop.RememberBest();
            }
        }

        loop.RestoreBest();
        classifier.Model.MergeAdapters();
        return (history.IndexOf(history.Max()) + 1, history);
    }

    private static Tensor Loss(SequenceClassifier classifier, IReadOnlyList<int[]> batch, Tensor targets, long[] rows)
    {
        var scores = classifier.Scores(batch);
        var wanted = targets.index_select(0, tensor(rows, device: targets.device));
        return classifier.Config.Classes.Count == 0
            ? nn.functional.mse_loss(scores.squeeze(-1), wanted)
            : nn.functional.cross_entropy(scores, wanted);
    }

    private static Tensor Targets(SequenceClassifier classifier, IReadOnlyList<LabeledText> examples) => classifier.Config.Classes.Count == 0
        ? tensor([.. ClassifierScores.Numbers(examples).Select(number => (float)number)], device: classifier.Model.Device)
        : tensor([.. ClassifierScores.Indices(examples, classifier.Config.Classes).Select(index => (long)index)], device: classifier.Model.Device);
}
