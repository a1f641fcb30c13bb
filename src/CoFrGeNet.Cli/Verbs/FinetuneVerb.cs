using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;
using CoFrGeNet.Torch;
using CoFrGeNet.Training;
using TorchSharp;

namespace CoFrGeNet.Cli;

/// <summary>finetune: a classifier on labelled texts, or a model on more text; all weights or low-rank additions.</summary>
internal sealed class FinetuneVerb : Verb
{
    private const string MetricsFile = "metrics.json";

    private static readonly FineTuningConfig Defaults = new();

    private readonly Option<string?> _model = new("--model") { Description = "The model folder to start from, for example RUN/final", HelpName = "DIR" };
    private readonly Option<string?> _data = new("--data") { Description = "Labelled texts (.tsv, .csv, .jsonl, .json, .parquet; .gz), or text to go on with as in train", HelpName = "PATH" };
    private readonly Option<string?> _task = new("--task") { Description = "Learn a task of GLUE: " + string.Join(", ", ClassificationTask.Glue.Select(task => task.Name)), HelpName = "NAME" };
    private readonly Option<string?> _text = new("--text") { Description = "Column of the text, by name, or by number from 1 where there is no header", HelpName = "COLUMN" };
    private readonly Option<string?> _text2 = new("--text2") { Description = "Column of the second text", HelpName = "COLUMN" };
    private readonly Option<string?> _label = new("--label") { Description = "Column of the label", HelpName = "COLUMN" };
    private readonly Option<bool> _regression = new("--regression") { Description = "Labels are numbers to be met, not classes" };
    private readonly Option<string?> _validation = new("--validation") { Description = "Labelled texts that choose the best epoch [default: a share of --data]", HelpName = "FILE" };
    private readonly Option<double> _fraction = new("--validation-fraction") { Description = "Share of --data held out where there is no --validation", HelpName = "X", DefaultValueFactory = _ => 0.1 };
    private readonly Option<string[]> _test = new("--test") { Description = "Labelled texts scored at the end; NAME=FILE for several, for example mismatched=FILE", HelpName = "FILE" };
    private readonly Option<string?> _out = new("--out") { Description = "Folder of the result", HelpName = "DIR" };
    private readonly Option<bool> _force = new("--force") { Description = "Replace an earlier result in --out" };
    private readonly Option<int> _epochs = new("--epochs") { Description = "Passes over the data", HelpName = "N", DefaultValueFactory = _ => Defaults.Epochs };
    private readonly Option<int> _batch = new("--batch-size") { Description = "Examples, or sequences of text, an optimizer step", HelpName = "N", DefaultValueFactory = _ => Defaults.BatchSize };
    private readonly Option<double?> _rate = new("--learning-rate") { Description = "Peak learning rate [default: the paper's, 1.25e-5 for models with ladders, 2.5e-5 for transformers; ten times that for LoRA]", HelpName = "X" };
    private readonly Option<double> _decay = new("--weight-decay") { Description = "AdamW's decay of matrices", HelpName = "X", DefaultValueFactory = _ => Defaults.WeightDecay };
    private readonly Option<int?> _length = new("--max-length") { Description = "Most tokens of an example, or the length of sequences of text [default: 128 for labelled texts, the context length for text, at most the context length]", HelpName = "N" };
    private readonly Option<string> _seeds = new("--seeds") { Description = "Seeds, with commas between; several give mean and spread", HelpName = "1,2,3", DefaultValueFactory = _ => "1" };
    private readonly Option<int?> _rank = new("--lora-rank") { Description = "Train low-rank additions of this rank and merge them at the end [default: train all weights]", HelpName = "R" };
    private readonly Option<double> _alpha = new("--lora-alpha") { Description = "Low-rank additions are scaled by alpha / rank", HelpName = "X", DefaultValueFactory = _ => new LoraConfig().Alpha };
    private readonly Option<bool> _scratch = new("--from-scratch") { Description = "Start labelled texts from freshly drawn weights of the same shape: what did pre-training give?" };
    private readonly Option<string[]> _set = new("--set") { Description = "For text: set a member of the run, for example training.precision=bFloat16; may be given several times", HelpName = "path.to.member=value" };
    private readonly TorchOptions _torch = new();

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public FinetuneVerb(ToolConsole console)
        : base("finetune", "Teach a model a classification task, or go on training it on text", console) => Accept(
        [
            _model, _data, _task, _text, _text2, _label, _regression, _validation, _fraction, _test, _out, _force, _epochs, _batch, _rate, _decay, _length, _seeds, _rank, _alpha, _scratch, _set,
            .. _torch.Options,
        ]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var folder = Given(arguments, _model, "a model folder, for example --model RUN/final");
        var model = ModelFolder.ReadConfig(folder);
        var config = new FineTuningConfig
        {
            Epochs = arguments.GetValue(_epochs),
            BatchSize = arguments.GetValue(_batch),
            LearningRate = arguments.GetValue(_rate),
            WeightDecay = arguments.GetValue(_decay),
            MaxLength = arguments.GetValue(_length),
            Lora = arguments.GetValue(_rank) is { } rank ? new LoraConfig(rank, arguments.GetValue(_alpha)) : null,
            FromScratch = arguments.GetValue(_scratch),
        }.Validate(model.Model);
        var data = Given(arguments, _data, "labelled texts or a text, for example --data train.tsv");
        var output = Given(arguments, _out, "the folder of the result, for example --out runs/sst2");
        return Task(arguments) is { } task
            ? Classify(arguments, folder, model, task, config, data, output)
            : Continue(arguments, folder, model, config, data, output);
    }

    private int Classify(ParseResult arguments, string folder, ModelFolderConfig model, ClassificationTask task, FineTuningConfig config, string data, string output)
    {
        if ((arguments.GetValue(_set) ?? []).Length > 0)
        {
            throw new UserErrorException("--set belongs to fine-tuning on text; labelled texts have options of their own, see --help.");
        }

        RequireFree(output, arguments.GetValue(_force));
        var seeds = Seeds(arguments);
        var sets = Sets(arguments, task, data);
        var device = _torch.Start(arguments);
        Tool.Error.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{task.Name}: {sets.Train.Count:N0} examples to train on, {sets.Validation.Count:N0} to choose by; learning rate {config.ResolveLearningRate(model.Model):G3}, {config.Epochs} epochs of {config.BatchSize} examples a step{(config.Lora is { } lora ? $", LoRA of rank {lora.Rank}" : string.Empty)}{(config.FromScratch ? ", from scratch" : string.Empty)}"));
        SequenceClassifier? best = null;
        try
        {
            var outcomes = new List<ClassifierOutcome>();
            foreach (var seed in seeds)
            {
                var display = new CountDisplay(Tool, $"steps, seed {seed}");
                var (classifier, outcome) = ClassifierTraining.Run(
                    folder, task, sets, config, seed, progress => display.Show(progress.Step, progress.Steps), device, Tool.Stop);
                display.Clear();
                Tool.Error.WriteLine($"seed {seed}: {Describe(outcome.Validation.Figures)} after epoch {outcome.BestEpoch} of {config.Epochs}");
                if (best is null || outcome.Validation.Figures[task.MainMetric] > outcomes.Max(other => other.Validation.Figures[task.MainMetric]))
                {
                    best?.Dispose();
                    best = classifier;
                }
                else
                {
                    classifier.Dispose();
                }

                outcomes.Add(outcome);
            }

            var report = FineTuningReport.Of(task, sets, config, model.Model, folder, outcomes);
            var chosen = outcomes.MaxBy(outcome => outcome.Validation.Figures[task.MainMetric])!;
            AtomicDirectory.Create(output, aside =>
            {
                best!.Save(aside);
                DurableFile.Write(Path.Combine(aside, MetricsFile), Json(report));
                FineTuningReport.WritePredictions(Path.Combine(aside, "predictions.jsonl"), sets.Validation, chosen.Validation);
                foreach (var (name, scores) in chosen.Tests)
                {
                    FineTuningReport.WritePredictions(Path.Combine(aside, $"predictions-{name}.jsonl"), sets.Tests[name], scores);
                }
            });
            return Report(arguments, report, output);
        }
        finally
        {
            best?.Dispose();
        }
    }

    private int Report(ParseResult arguments, FineTuningReport report, string output)
    {
        if (IsJson(arguments))
        {
            WriteJson(report);
            return ExitCode.Done;
        }

        Tool.Output.WriteLine($"{report.Task}, mean of {report.Seeds.Count} seed{(report.Seeds.Count == 1 ? string.Empty : "s")} on {report.ValidationExamples:N0} validation examples:");
        foreach (var (name, value) in report.Mean)
        {
            var spread = report.Spread is { } spreads ? string.Create(CultureInfo.InvariantCulture, $" +- {spreads[name]:F4}") : string.Empty;
            Tool.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-20} {value:F4}{spread}"));
        }

        if (report.MajorityAccuracy is { } majority)
        {
            Tool.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {"majority accuracy",-20} {majority:F4}"));
        }

        Tool.Output.WriteLine($"classifier of the best seed, figures and predictions in {Path.GetFullPath(output)}");
        return ExitCode.Done;
    }

    // All weights: a training run like any other, with checkpoints. Low-rank additions: short, and without.
    private int Continue(ParseResult arguments, string folder, ModelFolderConfig model, FineTuningConfig config, string data, string output)
    {
        if (arguments.GetValue(_test) is { Length: > 0 } || arguments.GetValue(_validation) is not null || config.FromScratch || Seeds(arguments).Count > 1)
        {
            throw new UserErrorException("--test, --validation, --from-scratch and several --seeds belong to labelled texts; name the task with --task, or the columns with --text and --label.");
        }

        var run = Configure(arguments, folder, model, config, data);
        RunFolder.RequireFree(output, arguments.GetValue(_force), "or go on with 'train --resume'");
        var device = _torch.Start(arguments);
        var text = TextData.Load(run.Data);
        Trainer.CheckFit(run, text);
        Tool.Error.WriteLine($"{text.Description}: {text.Train.Count:N0} tokens to train on, {text.Validation.Count:N0} held out");
        return config.Lora is null
            ? TrainAll(arguments, folder, run, text, output, device)
            : TrainLora(arguments, folder, config, run.Training.Seed, text, output, device);
    }

    private RunConfig Configure(ParseResult arguments, string folder, ModelFolderConfig model, FineTuningConfig config, string data)
    {
        var length = config.MaxLength ?? model.Model.ContextLength;
        var root = new JsonObject
        {
            ["model"] = JsonSerializer.SerializeToNode(model.Model, ConfigJsonContext.Default.ModelConfig),
            // The folder stands for the tokenizer whose files lie in it.
            ["data"] = new JsonObject { ["tokenizer"] = model.Tokenizer == ModelFolderConfig.FolderTokenizer ? Path.GetFullPath(folder) : model.Tokenizer },
            ["training"] = new JsonObject
            {
                ["sequenceLength"] = length,
                ["tokensPerStep"] = length * config.BatchSize,
                ["learningRate"] = config.ResolveLearningRate(model.Model),
                ["weightDecay"] = config.WeightDecay,
                ["seed"] = Seeds(arguments)[0],
            },
        };
        var overrides = arguments.GetValue(_set) ?? [];
        var run = new RunConfigSource { Text = root.ToJsonString(), Data = data, Overrides = overrides }.Resolve().Config;
        if (overrides.Any(assignment => assignment.StartsWith("training.steps=", StringComparison.Ordinal)))
        {
            return run;
        }

        // As many steps as the epochs ask for, which only the text can tell.
        var windows = Math.Max(1, (TextData.Load(run.Data).Train.Count - 1) / length);
        return run with { Training = run.Training with { Steps = (int)Math.Max(1, Math.Ceiling((double)config.Epochs * windows * length / run.Training.TokensPerStep)) } };
    }

    private int TrainAll(ParseResult arguments, string folder, RunConfig config, TextData text, string output, torch.Device device)
    {
        var display = new ProgressDisplay(Tool);
        using var training = CausalFineTuning.Start(folder, output, config, text, arguments.GetValue(_force), display, device);
        var before = training.Trainer.Evaluate();
        var complete = training.Run(Tool.Stop);
        display.Clear();
        if (!complete)
        {
            Tool.Error.WriteLine($"stopped at step {training.Trainer.Step} of {config.Training.Steps}, saved; go on with: cofrgenet train --out {training.Folder.FullPath} --resume{_torch.Repeat(arguments)}");
            return ExitCode.Interrupted;
        }

        return ReportText(arguments, before, training.Trainer.LastEvaluation!, training.Trainer.Step, training.Folder.FullPath, training.Folder.FinalFolder);
    }

    private int TrainLora(ParseResult arguments, string folder, FineTuningConfig config, int seed, TextData text, string output, torch.Device device)
    {
        var (model, tokenizer) = ModelFolder.Load(folder, device);
        using (model)
        {
            var display = new CountDisplay(Tool, "steps");
            var steps = 0;
            var results = CausalFineTuning.RunLora(
                model, text, config, seed, progress => display.Show(steps = progress.Step, progress.Steps), Tool.Stop);
            display.Clear();
            var best = results.Skip(1).MinBy(result => result.Loss)!;
            var final = Path.Combine(output, "final");
            AtomicDirectory.Create(final, aside => ModelFolder.Save(aside, model, tokenizer));
            return ReportText(arguments, results[0], best, steps, Path.GetFullPath(output), final);
        }
    }

    private int ReportText(ParseResult arguments, EvaluationResult before, EvaluationResult after, int steps, string output, string final)
    {
        if (IsJson(arguments))
        {
            WriteJson(new { Step = steps, LossBefore = Finite(before.Loss), ValidationLoss = Finite(after.Loss), Perplexity = Finite(after.Perplexity), BitsPerByte = Finite(after.BitsPerByte), Folder = output, Model = final });
            return ExitCode.Done;
        }

        Tool.Output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"validation loss {before.Loss:F4} before, {after.Loss:F4} after {steps} steps: perplexity {after.Perplexity:F2}, {after.BitsPerByte:F3} bits per byte"));
        Tool.Output.WriteLine($"model {final}");
        return ExitCode.Done;
    }

    private ClassificationTask? Task(ParseResult arguments)
    {
        var (name, text, label) = (arguments.GetValue(_task), arguments.GetValue(_text), arguments.GetValue(_label));
        var task = name is not null ? ClassificationTask.Get(name) : null;
        if (task is null && text is null && label is null)
        {
            return null;
        }

        if (task is null && (text is null || label is null))
        {
            throw new UserErrorException("Labelled texts need both columns: give --text COLUMN and --label COLUMN, or name a task of GLUE with --task.");
        }

        var regression = task?.IsRegression ?? arguments.GetValue(_regression);
        return (task ?? new ClassificationTask("custom", [], [], [], regression, regression ? "pearson" : "accuracy")) with
        {
            Text = text is null ? task!.Text : [text],
            Text2 = arguments.GetValue(_text2) is { } second ? [second] : task?.Text2 ?? [],
            Label = label is null ? task!.Label : [label],
        };
    }

    private ClassificationSets Sets(ParseResult arguments, ClassificationTask task, string data)
    {
        var examples = ClassificationData.Read(data, task);
        var (train, validation) = arguments.GetValue(_validation) is { } file
            ? (examples, ClassificationData.Read(file, task))
            : ClassificationData.Split(examples, arguments.GetValue(_fraction), seed: 0);
        var tests = new Dictionary<string, IReadOnlyList<LabeledText>>();
        foreach (var place in arguments.GetValue(_test) ?? [])
        {
            var equals = place.IndexOf('=', StringComparison.Ordinal);
            var (name, path) = equals > 0 && !File.Exists(place) ? (place[..equals], place[(equals + 1)..]) : ("test", place);
            if (name.IndexOfAny(Path.GetInvalidFileNameChars()) >= 0 || !tests.TryAdd(name, ClassificationData.Read(path, task)))
            {
                throw new UserErrorException($"--test {place}: the name '{name}' cannot be used or is there twice; give each set a name of its own with --test NAME=FILE.");
            }
        }

        return new ClassificationSets(train, validation, tests);
    }

    private List<int> Seeds(ParseResult arguments)
    {
        var seeds = new List<int>();
        foreach (var part in arguments.GetValue(_seeds)!.Split(',', StringSplitOptions.TrimEntries))
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var seed) || seeds.Contains(seed))
            {
                throw new UserErrorException($"--seeds is {arguments.GetValue(_seeds)}; allowed are different whole numbers with commas between, for example 1,2,3.");
            }

            seeds.Add(seed);
        }

        return seeds;
    }

    private static void RequireFree(string output, bool force)
    {
        if (File.Exists(output))
        {
            throw new UserErrorException($"--out {output} is a file; give a folder.");
        }

        var used = Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any();
        if (used && !(force && File.Exists(Path.Combine(output, "classifier.json")) && File.Exists(Path.Combine(output, MetricsFile))))
        {
            throw new UserErrorException(force
                ? $"{output} is not empty and holds no classifier, so --force does not replace it; give another folder with --out."
                : $"{output} is not empty; give another folder with --out, or replace an earlier classifier with --force.");
        }
    }

    private static string Given(ParseResult arguments, Option<string?> option, string what) =>
        arguments.GetValue(option) is { Length: > 0 } value ? value : throw new UserErrorException($"{option.Name} is missing; give {what}.");

    private static string Describe(IReadOnlyDictionary<string, double> figures) =>
        string.Join(", ", figures.Select(figure => string.Create(CultureInfo.InvariantCulture, $"{figure.Key} {figure.Value:F4}")));
}
