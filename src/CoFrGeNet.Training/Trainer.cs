using System.Diagnostics;
using CoFrGeNet.Torch;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// Trains one model: batches in a fixed order, accumulation, two-fold clipping, AdamW, schedules, evaluation and checkpoints. The same
/// configuration, machine and thread count give the same losses bit by bit, also across a stop and a resume.
/// </summary>
/// <remarks>Not thread-safe. Owns its model and optimizer.</remarks>
public sealed class Trainer : IDisposable
{
    private const int MostSkippedInARow = 20;

    private readonly RunConfig _config;
    private readonly TextData _data;
    private readonly RunFolder? _folder;
    private readonly ITrainingObserver? _observer;
    private readonly TrainingWindows _windows;
    private readonly AdamW _optimizer;
    private readonly GradientClipper _clipper;
    private readonly LearningRateSchedule _learningRate;
    private readonly DyadicSchedule? _dyadic;
    private readonly SpikeRule _spikes;
    private readonly PoleWatch _poles;
    private readonly RankGroup _ranks;
    private readonly DataParallel _parallel;
    private readonly bool _saves;
    private readonly int _sequencesPerStep;
    private readonly int _microBatch;
    private int _step;
    private int _skippedSteps;
    private int _skippedInARow;
    private double _maxGradientNorm;
    private int _savedStep = -1;
    private EvaluatedStep? _evaluated;
    private EvaluatedStep? _best;

    /// <summary>Builds the model with the run's seed.</summary>
    /// <param name="config">The run.</param>
    /// <param name="data">Its text.</param>
    /// <param name="folder">Where checkpoints go; null: none are written.</param>
    /// <param name="observer">Hears of every step; null: nobody does.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <param name="ranks">The processes that train together, each with a trainer of the same run; null: this one alone. The first one reads and writes the folder.</param>
    /// <exception cref="UserErrorException">The configuration is not valid or does not fit the text.</exception>
    public Trainer(RunConfig config, TextData data, RunFolder? folder = null, ITrainingObserver? observer = null, Device? device = null, RankGroup? ranks = null)
    {
        _ranks = ranks ?? RankGroup.Single;
        CheckFit(config, data, _ranks.Size);
        _config = config;
        _data = data;
        _folder = folder;
        _observer = observer;
        var training = config.Training;
        var length = training.ResolveSequenceLength(config.Model);
        _sequencesPerStep = training.TokensPerStep / length;
        _microBatch = DataParallel.MicroBatch(config, _ranks.Size);
        _windows = new TrainingWindows(data, length, training.Seed);
        manual_seed(training.Seed);
        Model = new LanguageModel(config.Model, device)
        {
            ComputeType = training.Precision == ComputePrecision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32,
            CheckpointBlocks = training.CheckpointBlocks,
        };
        var groups = ComponentGroup.Of(Model);
        _parallel = new DataParallel(_ranks, Model, groups, training);
        _saves = _ranks.Any(_ranks.IsFirst && folder is not null);
        _optimizer = new AdamW(groups, training, _parallel.Shares);
        _clipper = new GradientClipper(groups, training.ComponentClipNorm, training.ClipNorm, _parallel.Shares);
        _learningRate = new LearningRateSchedule(training);
        _dyadic = training.LadderSchedule == LadderSchedule.None ? null : new DyadicSchedule(Model, training.Steps, training.LadderSchedule == LadderSchedule.DyadicTruncated);
        _spikes = new SpikeRule(training.Spikes);
        _poles = new PoleWatch(Model);
    }

    /// <summary>The model that is trained.</summary>
    public LanguageModel Model { get; }

    /// <summary>Optimizer steps done.</summary>
    public int Step => _step;

    /// <summary>Largest gradient norm after the warm-up, before clipping.</summary>
    public double MaxGradientNorm => _maxGradientNorm;

    /// <summary>Steps skipped, because a gradient was not finite or the spike rule said so.</summary>
    public int SkippedSteps => _skippedSteps;

    /// <summary>Training tokens a second since the start or the resume, evaluation and checkpoints left out.</summary>
    public double TokensPerSecond { get; private set; }

    /// <summary>What sending gradients cost; null in a single process.</summary>
    public CommunicationTime? Communication => _parallel.Time;

    /// <summary>Bytes of the optimizer's state in this process.</summary>
    public long OptimizerBytes => _optimizer.StateBytes;

    /// <summary>The last evaluation, or null.</summary>
    public EvaluationResult? LastEvaluation { get; private set; }

    /// <summary>Checks a run against its text, before a folder is made for it or a model is built.</summary>
    /// <param name="config">The run.</param>
    /// <param name="data">Its text.</param>
    /// <param name="ranks">Number of processes that train together.</param>
    /// <exception cref="UserErrorException">The configuration is not valid or does not fit the text.</exception>
    public static void CheckFit(RunConfig config, TextData data, int ranks = 1)
    {
        config.Validate();
        DataParallel.CheckFit(config, ranks);
        if (data.Tokenizer.VocabularySize > config.Model.VocabularySize)
        {
            throw new UserErrorException(
                $"model.vocabularySize is {config.Model.VocabularySize}; the tokenizer '{data.Tokenizer.Name}' has {data.Tokenizer.VocabularySize} ids, so allowed is that or more.");
        }

        var length = config.Training.ResolveSequenceLength(config.Model);
        _ = new TrainingWindows(data, length, config.Training.Seed);
        _ = new BatchSource(data.Validation, length, "validation");
    }

    /// <summary>Goes on from the newest intact checkpoint of the run's folder.</summary>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="UserErrorException">There are checkpoints, and none is intact.</exception>
    public bool Resume()
    {
        var state = _saves ? _parallel.Resume(_optimizer, restore => _folder!.Checkpoints.LoadNewest(Model, restore, message => _observer?.OnMessage(_step, message), CheckText)) : null;
        if (state is null)
        {
            return false;
        }

        _step = _savedStep = state.Step;
        _skippedSteps = state.SkippedSteps;
        _skippedInARow = state.SkippedInARow;
        _maxGradientNorm = state.MaxGradientNorm;
        _evaluated = state.LastEvaluation;
        _best = state.Best;
        _spikes.Restore(state.Spikes);
        _observer?.OnMessage(_step, $"resumed at step {_step}");
        return true;
    }

    /// <summary>Trains until the last step, or until the token is cancelled; then a checkpoint is written.</summary>
    /// <param name="until">Stop after this many steps of the run; null: at its end.</param>
    /// <param name="stop">Asks for a stop after the step at hand.</param>
    /// <returns>Whether the run is complete.</returns>
    /// <exception cref="TrainingFailedException">The loss is not a finite number; the last checkpoint is intact.</exception>
    public bool Run(int? until = null, CancellationToken stop = default)
    {
        try
        {
            return RunSteps(until, stop);
        }
        catch (TrainingFailedException error) when (error is not CommunicationFailedException)
        {
            // Found from figures that are equal on all ranks, so that all of them are here.
            throw _ranks.Agreed(error);
        }
    }

    private bool RunSteps(int? until, CancellationToken stop)
    {
        var training = _config.Training;
        var last = Math.Min(until ?? training.Steps, training.Steps);
        Model.train();
        var clock = new Stopwatch();
        var started = _step;
        // A signal to one rank stops all at the same step.
        while (_step < last && !_ranks.Any(stop.IsCancellationRequested))
        {
            clock.Start();
            var progress = TrainStep();
            clock.Stop();
            TokensPerSecond = (double)(_step - started) * training.TokensPerStep / clock.Elapsed.TotalSeconds;
            _observer?.OnStep(progress with { TokensPerSecond = TokensPerSecond });
            ReportEpochs();
            if (_step % training.EvaluateEvery == 0 || _step == training.Steps)
            {
                Evaluate();
            }

            if (_step % training.CheckpointEvery == 0)
            {
                SaveCheckpoint();
            }
        }

        SaveCheckpoint();
        if (_step == training.Steps)
        {
            // A run that was complete before is measured again, and the log already has that line.
            LastEvaluation ??= Measure();
        }

        return _step == training.Steps;
    }

    /// <summary>Takes steps without reporting, evaluating or saving, to measure their speed.</summary>
    /// <param name="steps">How many.</param>
    internal void Warm(int steps)
    {
        Model.train();
        for (var i = 0; i < steps; i++)
        {
            TrainStep();
        }
    }

    /// <summary>Measures the model on the held-out text.</summary>
    public EvaluationResult Evaluate()
    {
        LastEvaluation = Measure();
        if (double.IsFinite(LastEvaluation.Loss))
        {
            _evaluated = new EvaluatedStep(_step, LastEvaluation.Loss);
        }

        _observer?.OnEvaluation(_step, LastEvaluation);
        return LastEvaluation;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _windows.Dispose();
        _optimizer.Dispose();
        _parallel.Dispose();
        Model.Dispose();
    }

    private void CheckText(CheckpointState state)
    {
        if (state.TextFingerprint != _data.Fingerprint)
        {
            throw new UserErrorException(
                $"The text {_config.Data.Source} is not the one that the run in {_folder!.FullPath} was started with; restore it, or start another run in another --out.");
        }
    }

    private EvaluationResult Measure()
    {
        _parallel.ShareRanges();
        return Evaluation.Run(Model, _data.Validation, _config.Training.ResolveSequenceLength(_config.Model), _config.Training.EvaluationTokens, _ranks);
    }

    private TrainingProgress TrainStep()
    {
        foreach (var level in _dyadic?.Apply(_step) ?? [])
        {
            _observer?.OnMessage(_step + 1, $"ladder level {level} of {_dyadic!.Depth} is trained from here on");
        }

        var logged = (_step + 1) % _config.Training.LogEvery == 0;
        _poles.Begin(logged);
        var loss = AccumulateGradients();
        if (!double.IsFinite(loss))
        {
            throw new TrainingFailedException(
                $"The loss is {loss} at step {_step}; nothing of this step was kept. Lower training.learningRate or give ladders the guard 'positive', then resume from the last checkpoint.");
        }

        // Before clipping, which would hide what a pole did.
        var poles = logged ? _parallel.Merge(_poles.Take()) : [];
        _poles.Clip(_config.Training.LadderClipNorm);
        var clip = _clipper.Measure();
        var norms = clip.Norms;
        var learningRate = _learningRate.At(_step);
        var skipped = ReasonToSkip(loss, norms);
        if (skipped is null)
        {
            _optimizer.Step(learningRate, clip.Scales, clears: true);
            _parallel.CompleteUpdate();
        }
        else
        {
            _skippedSteps++;
            _observer?.OnMessage(_step + 1, $"step skipped: {skipped}");
        }

        _optimizer.ClearGradients();
        if (norms.IsFinite && _step >= _config.Training.ResolveWarmupSteps())
        {
            _maxGradientNorm = Math.Max(_maxGradientNorm, norms.Total);
        }

        _step++;
        return new TrainingProgress(
            _step, _config.Training.Steps, (long)_step * _config.Training.TokensPerStep, loss, learningRate, 0, norms, _dyadic?.ActiveLevels(_step - 1), poles)
        {
            Levels = _dyadic?.Depth,
            Skipped = skipped,
        };
    }

    private string? ReasonToSkip(double loss, GradientNorms norms)
    {
        if (norms.IsFinite)
        {
            _skippedInARow = 0;
            return _spikes.Judge(loss, norms.Total);
        }

        return ++_skippedInARow < MostSkippedInARow
            ? "a gradient is not finite"
            : throw new TrainingFailedException(
                $"The gradients of {MostSkippedInARow} steps in a row are not finite, the last at step {_step}. Lower training.learningRate or give ladders the guard 'positive', then resume from the last checkpoint.");
    }

    // Of a mix some sources come round sooner than others.
    private void ReportEpochs()
    {
        if (_data.Sources.Count > 1 && (_step % _config.Training.EvaluateEvery == 0 || _step == _config.Training.Steps))
        {
            var epochs = _windows.Epochs((long)_step * _sequencesPerStep).Select(source => FormattableString.Invariant($"{source.Name} {source.Epochs:F3}"));
            _observer?.OnMessage(_step, $"epochs: {string.Join(", ", epochs)}");
        }
    }

    private double AccumulateGradients()
    {
        var share = _sequencesPerStep / _ranks.Size;
        var parts = share / _microBatch;
        var first = ((long)_step * _sequencesPerStep) + ((long)_ranks.Rank * share);
        double sum = 0;
        _parallel.BeginStep(_optimizer);
        for (var part = 0; part < parts; part++)
        {
            using var scope = NewDisposeScope();
            var isLast = part == parts - 1;
            if (isLast)
            {
                _parallel.BeginLastPart();
            }

            var position = first + (part * _microBatch);
            var (inputs, targets) = _windows.Batch(position, _microBatch, Model.Device);
            _windows.Prepare(isLast ? first + _sequencesPerStep : position + _microBatch, _microBatch);
            var loss = Model.Loss(inputs, targets);
            using var count = (parts * _ranks.Size).ToScalar();
            (parts * _ranks.Size == 1 ? loss : loss.div(count)).backward();
            sum += loss.item<float>();
        }

        _parallel.CompleteGradients();
        return _parallel.Mean(sum / parts);
    }

    private void SaveCheckpoint()
    {
        if (!_saves || _savedStep == _step)
        {
            return;
        }

        FiniteWeights.Require(Model, _step);
        _parallel.ShareRanges();
        _observer?.OnSaving(_step);
        if (_evaluated is { } last && (_best is null || last.ValidationLoss < _best.ValidationLoss))
        {
            _best = last with { Step = _step };
        }

        var state = new CheckpointState
        {
            Step = _step,
            Tokens = (long)_step * _config.Training.TokensPerStep,
            SkippedSteps = _skippedSteps,
            SkippedInARow = _skippedInARow,
            Spikes = _spikes.State,
            MaxGradientNorm = _maxGradientNorm,
            LastEvaluation = _evaluated,
            Best = _best,
            TextFingerprint = _data.Fingerprint,
            Model = Model.Config,
            ParameterSteps = _optimizer.State.ToDictionary(entry => entry.Name, entry => entry.Steps),
        };
        var training = _config.Training;
        var rotation = new CheckpointRotation(training.KeepCheckpoints, training.KeepBestCheckpoint, training.KeepCheckpointsEvery);
        _parallel.Save(_optimizer, moments =>
        {
            var path = _folder!.Checkpoints.Save(Model, moments, state, rotation);
            _observer?.OnMessage(_step, $"checkpoint {Path.GetFileName(path)}");
        });
        _savedStep = _step;
    }
}
