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

    private readonly Option<string?> _config = new("--config") { Description = "A JSON file { preset?, model?, data?, training? }", HelpName = "FILE" };
    private readonly Option<string?> _preset = new("--preset") { Description = "A preset, for example tiny or tiny-fu; wins over the file's", HelpName = "NAME" };
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
        : base("train", "Train a model on text, with checkpoints; Ctrl-C saves and stops", console) => Accept([_config, _preset, _data, _set, _out, _resume, _force, _dryRun, .. _torch.Options]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var source = new RunConfigSource
        {
            File = arguments.GetValue(_config),
            Preset = arguments.GetValue(_preset),
            Data = arguments.GetValue(_data),
            Overrides = arguments.GetValue(_set) ?? [],
        };
        if (arguments.GetValue(_resume))
        {
            return Resume(source, arguments);
        }

        var run = source.Resolve();
        if (arguments.GetValue(_dryRun))
        {
            return Plan(run, arguments);
        }

        var folder = arguments.GetValue(_out) ?? Path.Combine(RunsFolder, run.Name);
        var force = arguments.GetValue(_force);
        RunFolder.RequireFree(folder, force, "or continue it with --resume");
        var device = _torch.Start(arguments);
        var data = Load(run.Config);
        var display = new ProgressDisplay(Tool);
        using var training = TrainingRun.Start(folder, run.Config, data, force, display, device);
        return Train(training, display, arguments);
    }

    private int Resume(RunConfigSource source, ParseResult arguments)
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
        var folder = arguments.GetValue(_out)
            ?? (run is null ? throw new UserErrorException("--resume needs the run's folder; give it with --out DIR.") : Path.Combine(RunsFolder, run.Name));
        var (_, stored) = RunFolder.Open(folder);
        if (run is not null && run.Config != stored)
        {
            throw new UserErrorException($"The configuration given is not the one that the run in {folder} was started with; resume it with --out {folder} --resume alone, or start another run in another --out.");
        }

        var device = _torch.Start(arguments);
        var display = new ProgressDisplay(Tool);
        using var training = TrainingRun.Resume(folder, display, device);
        return Train(training, display, arguments);
    }

    private TextData Load(RunConfig config)
    {
        var data = TextData.Load(config.Data);
        // Before anything is said, so that a mistake is the only line.
        Trainer.CheckFit(config, data);
        Tool.Error.WriteLine($"{data.Description}: {data.Train.Count:N0} tokens to train on{(data.Train.DocumentCount is { } documents ? $" in {documents:N0} documents" : string.Empty)}, {data.Validation.Count:N0} held out");
        return data;
    }

    private int Train(TrainingRun training, ProgressDisplay display, ParseResult arguments)
    {
        var parameters = Accounting.ParameterCount.Of(training.Config.Model);
        display.WriteLine($"{parameters.Total:N0} parameters, {parameters.BlockParameters:N0} in blocks; {torch.get_num_threads()} threads; run in {training.Folder.FullPath}");
        var complete = training.Run(Tool.Stop);
        display.Clear();
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
            Tool.Error.WriteLine($"stopped at step {training.Trainer.Step} of {training.Config.Training.Steps}, saved; go on with: cofrgenet train --out {training.Folder.FullPath} --resume{_torch.Repeat(arguments)}");
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
        var data = Load(run.Config);
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
