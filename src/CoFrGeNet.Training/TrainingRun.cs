using CoFrGeNet.Generation;
using CoFrGeNet.Storage;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// A training run in its folder, from the first step or from a checkpoint to the model folder, the loss curve and a sample. Not thread-safe.
/// </summary>
public sealed class TrainingRun : IDisposable
{
    private const int SampleTokens = 200;

    private readonly TextData _data;
    private readonly RankGroup _ranks;
    private FolderLock? _lock;
    private MetricsLog? _log;

    private TrainingRun(RunFolder folder, RunConfig config, TextData data, ITrainingObserver? observer, Device? device, RankGroup ranks, bool resume)
    {
        Folder = folder;
        Config = config;
        _data = data;
        _ranks = ranks;
        Trainer? trainer = null;
        try
        {
            ranks.OnFirst(() =>
            {
                _lock = RunLock.Take(folder.FullPath);
                folder.DeletePartial();
            });
            var observers = new ObserverList();
            if (observer is not null)
            {
                observers.Add(observer);
            }

            var resumed = new MessageList();
            observers.Add(resumed);
            Trainer = trainer = new Trainer(config, data, folder, observers, device, ranks);
            if (resume && !Trainer.Resume())
            {
                observers.OnMessage(0, "there is no checkpoint yet; starting at step 0");
            }

            // Only now is known which lines of an earlier log still count.
            ranks.OnFirst(() =>
            {
                _log = new MetricsLog(folder, config, Trainer.Step);
                foreach (var message in resumed.TakeAll())
                {
                    _log.OnMessage(Trainer.Step, message);
                }

                observers.Add(_log);
            });
        }
        catch
        {
            _log?.Dispose();
            trainer?.Dispose();
            _lock?.Dispose();
            throw;
        }
    }

    /// <summary>Where it is written.</summary>
    public RunFolder Folder { get; }

    /// <summary>What determines it.</summary>
    public RunConfig Config { get; }

    /// <summary>The trainer, for its figures.</summary>
    public Trainer Trainer { get; }

    /// <summary>Its losses so far; only on the first rank.</summary>
    public MetricsLog Log => _log ?? throw new InvalidOperationException("Only the first rank keeps the log.");

    /// <summary>Training tokens seen.</summary>
    public long Tokens => (long)Trainer.Step * Config.Training.TokensPerStep;

    /// <summary>A text by the trained model; null before the run is complete.</summary>
    public string? Sample { get; private set; }

    /// <summary>Starts a new run.</summary>
    /// <param name="path">Its folder: new or empty, unless forced.</param>
    /// <param name="config">What determines it.</param>
    /// <param name="data">Its text.</param>
    /// <param name="force">Whether an earlier run in the folder may be deleted.</param>
    /// <param name="observer">Hears of every step.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <param name="ranks">The processes that train together; null: this one alone.</param>
    /// <exception cref="UserErrorException">The configuration does not fit the text, or the folder is in use.</exception>
    public static TrainingRun Start(
        string path, RunConfig config, TextData data, bool force, ITrainingObserver? observer = null, Device? device = null, RankGroup? ranks = null)
    {
        ranks ??= RankGroup.Single;
        var folder = new RunFolder(path);
        ranks.Together(() =>
        {
            Trainer.CheckFit(config, data, ranks.Size);
            folder = ranks.IsFirst ? RunFolder.Create(path, config, force) : folder;
        });
        return new TrainingRun(folder, config, data, observer, device, ranks, resume: false);
    }

    /// <summary>Goes on from the newest intact checkpoint of a run.</summary>
    /// <param name="path">Its folder.</param>
    /// <param name="observer">Hears of every step.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <exception cref="UserErrorException">There is no run, its text is gone, or none of its checkpoints is intact.</exception>
    public static TrainingRun Resume(string path, ITrainingObserver? observer = null, Device? device = null)
    {
        var (_, config) = RunFolder.Open(path);
        return Resume(path, TextData.Load(config.Data), observer, device);
    }

    /// <summary>Goes on from the newest intact checkpoint of a run whose text is at hand.</summary>
    /// <param name="path">Its folder.</param>
    /// <param name="data">Its text.</param>
    /// <param name="observer">Hears of every step.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <exception cref="UserErrorException">There is no run, or none of its checkpoints is intact.</exception>
    public static TrainingRun Resume(string path, TextData data, ITrainingObserver? observer = null, Device? device = null)
    {
        var (_, config) = RunFolder.Open(path);
        return Resume(path, config, data, observer, device, RankGroup.Single);
    }

    /// <summary>Goes on from the newest intact checkpoint of a run whose configuration and text are at hand; only the first rank needs the folder.</summary>
    /// <param name="path">Its folder.</param>
    /// <param name="config">What is stored in it.</param>
    /// <param name="data">Its text.</param>
    /// <param name="observer">Hears of every step.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <param name="ranks">The processes that train together.</param>
    /// <exception cref="UserErrorException">None of its checkpoints is intact.</exception>
    public static TrainingRun Resume(string path, RunConfig config, TextData data, ITrainingObserver? observer, Device? device, RankGroup ranks)
    {
        ranks.Together(() => Trainer.CheckFit(config, data, ranks.Size));
        return new TrainingRun(new RunFolder(path), config, data, observer, device, ranks, resume: true);
    }

    /// <summary>Trains to the end or until the stop is asked for. At the end the model folder, the loss curve and a sample are written.</summary>
    /// <param name="stop">Asks for a checkpoint and a stop after the step at hand.</param>
    /// <returns>Whether the run is complete.</returns>
    /// <exception cref="TrainingFailedException">
    /// The training diverged, or a file cannot be written or read; the message names the last good checkpoint, which is intact.
    /// </exception>
    public bool Run(CancellationToken stop = default)
    {
        try
        {
            if (!Trainer.Run(stop: stop))
            {
                return false;
            }

            _ranks.OnFirst(Finish);
            return true;
        }
        catch (TrainingFailedException e)
        {
            _log?.OnMessage(Trainer.Step, e.Message);
            throw;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException || IsFileTooLarge(e))
        {
            var reason = IsFileTooLarge(e) ? "a file cannot grow further, by a limit of the process or of the file system" : e.Message.TrimEnd('.');
            throw new TrainingFailedException($"The run stopped after step {Trainer.Step}: {reason}. {WhatIsLeft()}", e);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _log?.Dispose();
        Trainer.Dispose();
        _lock?.Dispose();
    }

    // What .NET makes of EFBIG: the length, as it sees it, was set to a value that is too large.
    private static bool IsFileTooLarge(Exception error) => error is ArgumentOutOfRangeException { ParamName: "value", Source: "System.Private.CoreLib" };

    private string WhatIsLeft() => Folder.Checkpoints.Finished is [var newest, ..]
        ? $"The checkpoint {Path.GetFileName(newest)} is intact; mend the cause, then go on with: cofrgenet train --out {Folder.FullPath} --resume"
        : $"There is no checkpoint yet; mend the cause, then start again with: cofrgenet train --out {Folder.FullPath} --resume";

    private void Finish()
    {
        AtomicDirectory.Create(Folder.FinalFolder, folder => ModelFolder.Save(folder, Trainer.Model, _data.Tokenizer));
        LossCurve.SavePng(
            Folder.LossCurveFile,
            $"{Path.GetFileName(Folder.FullPath)}: validation loss {Trainer.LastEvaluation!.Loss:F3}",
            [new LossSeries("training", Log.TrainingLosses, Dashed: true), new LossSeries("validation", Log.ValidationLosses)]);
        var options = new SamplingOptions { Seed = Config.Training.Seed, MaxTokens = SampleTokens };
        try
        {
            Sample = new TextGenerator(new TorchLanguageModel(Trainer.Model), _data.Tokenizer).Generate(string.Empty, options, CancellationToken.None).Text;
            DurableFile.Write(Folder.SampleFile, System.Text.Encoding.UTF8.GetBytes(Sample));
        }
        catch (ArithmeticException)
        {
            // The last step diverged: the figures say so, and there is nothing to sample.
        }
    }

    // What is said while a run is resumed, before its log can be opened.
    private sealed class MessageList : ITrainingObserver
    {
        private List<string>? _messages = [];

        public List<string> TakeAll()
        {
            var all = _messages ?? [];
            _messages = null;
            return all;
        }

        public void OnStep(TrainingProgress progress)
        {
        }

        public void OnEvaluation(int step, EvaluationResult result)
        {
        }

        public void OnMessage(int step, string message) => _messages?.Add(message);
    }
}
