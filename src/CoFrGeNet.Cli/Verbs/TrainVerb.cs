using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using CoFrGeNet.Training;
using TorchSharp;

namespace CoFrGeNet.Cli;

/// <summary>train: a run from its configuration or from its last checkpoint to a model folder.</summary>
internal sealed class TrainVerb : Verb
{
    private const string RunsFolder = "runs";

    private readonly Option<string?> _config = new("--config") { Description = "A JSON file { preset?, recipe?, model?, data?, training? }", HelpName = "FILE" };
    private readonly Option<string?> _preset = new("--preset") { Description = "A preset, for example tiny or tiny-fu; wins over the file's", HelpName = "NAME" };
    private readonly Option<string?> _recipe = new("--recipe") { Description = "A named set of settings over it: paper, to its letter, or default; wins over the file's", HelpName = "NAME" };
    private readonly Option<string?> _data = new("--data") { Description = "A text file, a .gz or .zst of one, a folder of them, a folder that 'data prepare' wrote, a .bin of tokens, or sdk-docs, the documentation of the .NET SDK [default: sdk-docs]", HelpName = "PATH" };
    private readonly Option<string[]> _set = new("--set") { Description = "Set a member of the configuration, for example training.steps=500; may be given several times", HelpName = "path.to.member=value" };
    private readonly Option<string?> _out = new("--out") { Description = "Folder of the run [default: runs/<preset or file name>]", HelpName = "DIR" };
    private readonly Option<bool> _resume = new("--resume") { Description = "Go on from the last checkpoint of the run in --out, exactly" };
    private readonly Option<bool> _force = new("--force") { Description = "Delete an earlier run in --out" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show size, memory and duration, and write nothing" };
    private readonly TorchOptions _torch = new();

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public TrainVerb(ToolConsole console)
        : base("train", "Train a model on text, with checkpoints; Ctrl-C saves and stops", console) => Accept([_config, _preset, _recipe, _data, _set, _out, _resume, _force, _dryRun, .. _torch.Options]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var source = new RunConfigSource
        {
            File = arguments.GetValue(_config),
            Preset = arguments.GetValue(_preset),
            Recipe = arguments.GetValue(_recipe),
            Data = arguments.GetValue(_data),
            Overrides = arguments.GetValue(_set) ?? [],
        };
        if (arguments.GetValue(_dryRun) && !arguments.GetValue(_resume))
        {
            return RankedRun.IsFollower ? ExitCode.Done : Plan(source.Resolve(), arguments);
        }

        return RankedRun.Do(Tool, (ranks, console) => arguments.GetValue(_resume) ? Resume(source, arguments, ranks, console) : Start(source, arguments, ranks, console));
    }

    private int Start(RunConfigSource source, ParseResult arguments, RankGroup ranks, ToolConsole console)
    {
        ResolvedRun? run = null;
        TorchSharp.torch.Device? device = null;
        TextData? data = null;
        ranks.Together(() =>
        {
            run = source.Resolve();
            if (ranks.IsFirst)
            {
                RunFolder.RequireFree(FolderOf(run, arguments), arguments.GetValue(_force), "or continue it with --resume");
            }

            device = _torch.Start(arguments, ranks.LocalRank);
            data = Load(run.Config, console, ranks.Size);
        });
        Prepare(ranks, run!.Config, data!, device!);
        var display = new ProgressDisplay(console);
        using var training = TrainingRun.Start(FolderOf(run, arguments), run.Config, data!, arguments.GetValue(_force), display, device, ranks);
        return Train(training, display, arguments, ranks, console);
    }

    private int Resume(RunConfigSource source, ParseResult arguments, RankGroup ranks, ToolConsole console)
    {
        var (folder, stored) = (string.Empty, string.Empty);
        ranks.OnFirst(() => (folder, stored) = Stored(source, arguments));
        // Only the first rank needs the folder.
        folder = ranks.Broadcast(folder);
        stored = ranks.Broadcast(stored);
        var config = JsonSerializer.Deserialize(stored, TrainingJsonContext.Default.RunConfig)!;
        TorchSharp.torch.Device? device = null;
        TextData? data = null;
        ranks.Together(() =>
        {
            device = _torch.Start(arguments, ranks.LocalRank);
            data = TextData.Load(config.Data);
        });
        Prepare(ranks, config, data!, device!);
        var display = new ProgressDisplay(console);
        using var training = TrainingRun.Resume(folder, config, data!, display, device, ranks);
        return Train(training, display, arguments, ranks, console);
    }

    // The run's folder and its configuration as JSON.
    private (string Folder, string Config) Stored(RunConfigSource source, ParseResult arguments)
    {
        if (arguments.GetValue(_force) || arguments.GetValue(_dryRun))
        {
            throw new UserErrorException("--resume goes on with a run, so it does not go with --force or --dry-run; leave one of them out.");
        }

        if (!source.IsEmpty && source.File is null && source.Preset is null)
        {
            throw new UserErrorException("--resume goes on with the run's stored configuration, so --set and --data do not go with it; leave them out, or start another run in another --out.");
        }

        var run = source.IsEmpty ? null : source.Resolve();
        var folder = run is null && arguments.GetValue(_out) is null ? throw new UserErrorException("--resume needs the run's folder; give it with --out DIR.") : FolderOf(run, arguments);
        var (_, stored) = RunFolder.Open(folder);
        return run is null || run.Config == stored
            ? (folder, JsonSerializer.Serialize(stored, TrainingJsonContext.Default.RunConfig))
            : throw new UserErrorException($"The configuration given is not the one that the run in {folder} was started with; resume it with --out {folder} --resume alone, or start another run in another --out.");
    }

    private string FolderOf(ResolvedRun? run, ParseResult arguments) => arguments.GetValue(_out) ?? Path.Combine(RunsFolder, run!.Name);

    private static void Prepare(RankGroup ranks, RunConfig config, TextData data, TorchSharp.torch.Device device)
    {
        StartAgreement.Require(ranks, config, data, $"{device.type}".ToLowerInvariant());
        if (device.type == DeviceType.CUDA)
        {
            ranks.UseNccl(device);
        }
    }

    private static TextData Load(RunConfig config, ToolConsole console, int ranks)
    {
        var data = TextData.Load(config.Data);
        // Before anything is said, so that a mistake is the only line.
        Trainer.CheckFit(config, data, ranks);
        console.Error.WriteLine($"{data.Description}: {data.Train.Count:N0} tokens to train on{(data.Train.DocumentCount is { } documents ? $" in {documents:N0} documents" : string.Empty)}, {data.Validation.Count:N0} held out");
        return data;
    }

    private int Train(TrainingRun training, ProgressDisplay display, ParseResult arguments, RankGroup ranks, ToolConsole console)
    {
        var parameters = Accounting.ParameterCount.Of(training.Config.Model);
        var together = ranks.Size == 1 ? string.Empty : $"; {ranks.Size} ranks by {ranks.Transport}";
        display.WriteLine($"{parameters.Total:N0} parameters, {parameters.BlockParameters:N0} in blocks; {torch.get_num_threads()} threads{together}; run in {training.Folder.FullPath}");
        var complete = training.Run(Tool.Stop);
        display.Clear();
        if (!ranks.IsFirst)
        {
            // The launcher takes any other code for a failure and ends the first rank, which may not have said everything yet.
            return ExitCode.Done;
        }

        if (IsJson(arguments))
        {
            WriteJson(Document(training, complete));
        }
        else if (complete)
        {
            WriteSummary(training);
        }

        if (!complete)
        {
            console.Error.WriteLine($"stopped at step {training.Trainer.Step} of {training.Config.Training.Steps}, saved; go on with: cofrgenet train --out {training.Folder.FullPath} --resume{_torch.Repeat(arguments)}");
        }

        return complete ? ExitCode.Done : ExitCode.Interrupted;
    }

    private static object Document(TrainingRun training, bool complete)
    {
        var (trainer, last) = (training.Trainer, training.Trainer.LastEvaluation);
        return new
        {
            trainer.Step,
            training.Tokens,
            ValidationLoss = Finite(last?.Loss),
            Perplexity = Finite(last?.Perplexity),
            BitsPerByte = Finite(last?.BitsPerByte),
            trainer.TokensPerSecond,
            MaxGradientNorm = Finite(trainer.MaxGradientNorm),
            trainer.SkippedSteps,
            Folder = training.Folder.FullPath,
            Model = complete ? training.Folder.FinalFolder : null,
            Complete = complete,
            training.Sample,
            // Of several processes alone: what sending gradients cost, and what each rank keeps of the optimizer.
            Communication = trainer.Communication is { } time ? new { SendingSeconds = time.Sending.TotalSeconds, WaitingSeconds = time.Waiting.TotalSeconds, time.HiddenShare } : null,
            trainer.OptimizerBytes,
        };
    }

    private void WriteSummary(TrainingRun training)
    {
        var (trainer, last) = (training.Trainer, training.Trainer.LastEvaluation!);
        Tool.Output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"step {trainer.Step}, {training.Tokens:N0} tokens: validation loss {last.Loss:F4}, perplexity {last.Perplexity:F2}, {last.BitsPerByte:F3} bits per byte, {trainer.TokensPerSecond:N0} tokens/s"));
        Tool.Output.WriteLine($"model {training.Folder.FinalFolder}, losses {training.Folder.LossCurveFile}");
        Tool.Output.WriteLine($"go on with: cofrgenet generate --model {training.Folder.FinalFolder} --prompt TEXT");
        Tool.Output.WriteLine("a sample:");
        Tool.Output.WriteLine(training.Sample);
    }

    private int Plan(ResolvedRun run, ParseResult arguments)
    {
        var data = Load(run.Config, Tool, 1);
        var plan = RunPlan.Of(run.Config, data, _torch.Start(arguments));
        if (IsJson(arguments))
        {
            WriteJson(new
            {
                run.Name,
                Parameters = plan.Parameters.Total,
                plan.Parameters.BlockParameters,
                plan.Steps,
                plan.TokensPerStep,
                plan.SequencesPerPass,
                plan.Tokens,
                plan.TrainingTokens,
                plan.ValidationTokens,
                plan.Epochs,
                plan.MinimumMemoryBytes,
                plan.MeasuredMemoryBytes,
                plan.TokensPerSecond,
                plan.Seconds,
                Config = JsonSerializer.SerializeToElement(run.Config, TrainingJsonContext.Default.RunConfig),
            });
            return ExitCode.Done;
        }

        WritePlan(run, plan);
        return ExitCode.Done;
    }

    private void WritePlan(ResolvedRun run, RunPlan plan)
    {
        Tool.Output.WriteLine(JsonSerializer.Serialize(run.Config, TrainingJsonContext.Default.RunConfig));
        Tool.Output.WriteLine($"parameters      {plan.Parameters.Total:N0}, {plan.Parameters.BlockParameters:N0} in blocks");
        Tool.Output.WriteLine($"steps           {plan.Steps:N0} of {plan.TokensPerStep:N0} tokens, {plan.SequencesPerPass} sequences in one pass");
        Tool.Output.WriteLine($"tokens          {plan.Tokens:N0}, {plan.Epochs:F2} times the text");
        var measured = plan.MeasuredMemoryBytes is { } peak ? $"; {Amounts.Bytes(peak)} measured over a few steps" : string.Empty;
        Tool.Output.WriteLine($"memory          {Amounts.Bytes(plan.MinimumMemoryBytes)} for weights, gradients, optimizer and logits, activations on top{measured}");
        Tool.Output.WriteLine(plan.Seconds is { } seconds
            ? $"duration        about {Amounts.Duration(seconds)} at {plan.TokensPerSecond:N0} tokens/s, evaluation left out"
            : "duration        not measured: the steps are too long for a dry run");
    }
}
