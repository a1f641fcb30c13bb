using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>Fine-tunes a model on text.</summary>
public static class CausalFineTuning
{
    /// <summary>
    /// Starts a training run whose model has the weights of a folder. They are in its first checkpoint, so the run is resumed as any other.
    /// </summary>
    /// <param name="modelFolder">The model to start from.</param>
    /// <param name="path">The run's folder: new or empty, unless forced.</param>
    /// <param name="config">The run; its model is that of the folder.</param>
    /// <param name="data">Its text.</param>
    /// <param name="force">Whether an earlier run in the folder may be deleted.</param>
    /// <param name="observer">Hears of every step.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <exception cref="UserErrorException">The model does not fit, the text is too short, or the folder is in use.</exception>
    public static TrainingRun Start(
        string modelFolder, string path, RunConfig config, TextData data, bool force, ITrainingObserver? observer = null, Device? device = null)
    {
        var run = TrainingRun.Start(path, config, data, force, observer, device);
        try
        {
            ModelFolder.LoadFolderWeights(modelFolder, run.Trainer.Model);
            // No step: it writes the checkpoint from which a run that is killed early goes on.
            run.Trainer.Run(until: 0);
            return run;
        }
        catch
        {
            run.Dispose();
            throw;
        }
    }

    /// <summary>Trains low-rank additions on text, and merges those with the lowest validation loss.</summary>
    /// <param name="model">The model; it is changed.</param>
    /// <param name="data">The text.</param>
    /// <param name="config">How; LoRA is not optional here.</param>
    /// <param name="seed">Seed of the additions and of the order of the text.</param>
    /// <param name="progress">Hears of every step.</param>
    /// <param name="stop">Asks for an end; nothing is kept.</param>
    /// <returns>Validation before the first epoch and after each one; the best of the latter is what the model has.</returns>
    /// <exception cref="UserErrorException">The configuration is not valid, or the text is too short.</exception>
    /// <exception cref="TrainingFailedException">The loss is no finite number.</exception>
    public static IReadOnlyList<EvaluationResult> RunLora(
        LanguageModel model, TextData data, FineTuningConfig config, int seed, Action<FineTuningProgress>? progress = null, CancellationToken stop = default)
    {
        config.Validate(model.Config);
        var length = config.MaxLength ?? model.Config.ContextLength;
        var source = new BatchSource(data.Train, length, "training");
        var stepsAnEpoch = (int)((source.WindowCount + config.BatchSize - 1) / config.BatchSize);
        var training = config.ToTraining(model.Config, config.Epochs * stepsAnEpoch, seed);
        EvaluationResult Measure() => Evaluation.Run(model, data.Validation, length, training.EvaluationTokens);
        var results = new List<EvaluationResult> { Measure() };
        manual_seed(seed);
        model.Adapt(config.Lora ?? throw new ArgumentException("low-rank additions are needed", nameof(config)));
        using var loop = new FineTuningLoop(model, model, [], training);
        var order = new WindowOrder(source.WindowCount, seed);
        for (var epoch = 0; epoch < config.Epochs; epoch++)
        {
            model.train();
            for (long first = 0; first < source.WindowCount; first += config.BatchSize)
            {
                stop.ThrowIfCancellationRequested();
                var start = (epoch * source.WindowCount) + first;
                var windows = Enumerable.Range(0, (int)Math.Min(config.BatchSize, source.WindowCount - first)).Select(i => order.At(start + i)).ToArray();
                var loss = loop.TakeStep(() =>
                {
                    var (inputs, targets) = source.Batch(windows, model.Device);
                    return model.Loss(inputs, targets);
                });
                progress?.Invoke(new FineTuningProgress(seed, loop.Step, training.Steps, loss));
            }

            results.Add(Measure());
            if (results.Count == 2 || results[^1].Loss < results.Skip(1).SkipLast(1).Min(result => result.Loss))
            {
                loop.RememberBest();
            }
        }

        loop.RestoreBest();
        model.MergeAdapters();
        model.eval();
        return results;
    }
}
