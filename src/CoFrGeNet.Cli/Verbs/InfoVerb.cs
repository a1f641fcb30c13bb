using System.CommandLine;
using System.Text.Json;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;
using CoFrGeNet.Torch;
using Spectre.Console;

namespace CoFrGeNet.Cli;

/// <summary>info: parameters and operations of a model, from its configuration alone; libtorch is not loaded.</summary>
internal sealed class InfoVerb : Verb
{
    private readonly Option<string?> _preset = new("--preset") { Description = "A preset, for example gpt2-xl or gpt2-xl-fu", HelpName = "NAME" };
    private readonly Option<string?> _model = new("--model") { Description = "A model folder, for example RUN/final", HelpName = "DIR" };

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public InfoVerb(ToolConsole console)
        : base("info", "Show parameters, operations and shape of a preset beside its continued-fraction variants, or of a model folder", console) => Accept(_preset, _model);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var (preset, folder) = (arguments.GetValue(_preset), arguments.GetValue(_model));
        if ((preset is null) == (folder is null))
        {
            throw new UserErrorException($"Give either --preset NAME or --model DIR. Presets are {string.Join(", ", PresetLibrary.BaseNames)}, each alone or with {string.Join(", ", PresetLibrary.Variants.Select(v => "-" + v))}.");
        }

        var (name, model, tokenizer) = preset is not null ? OfPreset(preset) : OfFolder(folder!);
        if (IsJson(arguments))
        {
            WriteJson(Document(name, model, tokenizer));
        }
        else
        {
            WriteTable(name, model, preset is null ? [] : PresetLibrary.Variants.Where(variant => variant != "gate"));
        }

        return ExitCode.Done;
    }

    private static (string Name, ModelConfig Model, string Tokenizer) OfPreset(string name)
    {
        var (model, tokenizer) = PresetLibrary.Get(name);
        return (name, model, tokenizer);
    }

    private static (string Name, ModelConfig Model, string Tokenizer) OfFolder(string folder)
    {
        var config = ModelFolder.ReadConfig(folder);
        return (folder, config.Model, config.Tokenizer);
    }

    private static object Document(string name, ModelConfig model, string tokenizer)
    {
        var count = ParameterCount.Of(model);
        var flops = FlopCount.Of(model);
        return new
        {
            Name = name,
            Parameters = new { count.Total, count.Embedding, count.Mixer, count.FeedForward, count.Norm, count.Head },
            count.BlockParameters,
            FlopsPerToken = flops.Total,
            TrainingFlopsPerToken = flops.Training,
            model.ContextLength,
            model.VocabularySize,
            model.Width,
            Layers = model.LayerCount,
            Tokenizer = tokenizer,
            Formulas = ParameterFormulas.Of(model),
            Config = JsonSerializer.SerializeToElement(model, ConfigJsonContext.Default.ModelConfig),
        };
    }

    private void WriteTable(string name, ModelConfig model, IEnumerable<string> variants)
    {
        var baseName = PresetLibrary.BaseName(name);
        (string Title, ModelConfig Model)[] columns = variants.Any()
            ? [(baseName, PresetLibrary.Get(baseName).Model), .. variants.Select(variant => ("-" + variant, PresetLibrary.Get($"{baseName}-{variant}").Model))]
            : [(name, model)];
        var table = new Table().Border(TableBorder.Simple).AddColumn("parameters");
        foreach (var column in columns)
        {
            table.AddColumn(new TableColumn(Markup.Escape(column.Title)).RightAligned().NoWrap());
        }

        var counts = columns.Select(column => ParameterCount.Of(column.Model)).ToArray();
        void Row(string title, Func<int, string> cell) => table.AddRow([title, .. Enumerable.Range(0, columns.Length).Select(cell)]);
        Row("embedding", i => Amounts.Count(counts[i].Embedding));
        Row("mixer", i => Amounts.Count(counts[i].Mixer));
        Row("feed-forward", i => Amounts.Count(counts[i].FeedForward));
        Row("norm", i => Amounts.Count(counts[i].Norm));
        Row("head", i => Amounts.Count(counts[i].Head));
        Row("total", i => Amounts.Count(counts[i].Total));
        Row("in blocks", i => Amounts.Count(counts[i].BlockParameters));
        Row("blocks, share", i => $"{100.0 * counts[i].BlockParameters / counts[0].BlockParameters:F1}%");
        Row("FLOPs a token", i => Amounts.Count(FlopCount.Of(columns[i].Model).Total));
        Row("context", i => $"{columns[i].Model.ContextLength}");
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = Tool.IsOutputTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = Tool.IsOutputTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(Tool.Output),
        });
        // A narrow guess would break numbers over lines where there is no terminal to ask.
        console.Profile.Width = Math.Max(console.Profile.Width, 100);
        console.Write(table);
        WriteDetails(name, model);
    }

    private void WriteDetails(string name, ModelConfig model)
    {
        var count = ParameterCount.Of(model);
        var formulas = ParameterFormulas.Of(model);
        Tool.Output.WriteLine($"{name}: {count.Total:N0} parameters, {count.BlockParameters:N0} of them in {model.LayerCount} blocks");
        Tool.Output.WriteLine($"  V = {model.VocabularySize}, T = {model.ContextLength}, p = {model.Width}");
        Tool.Output.WriteLine($"  embedding     {formulas.Embedding}");
        Tool.Output.WriteLine($"  mixer         {formulas.Mixer}");
        Tool.Output.WriteLine($"  feed-forward  {formulas.FeedForward}");
        Tool.Output.WriteLine($"  norm          {formulas.Norm}");
        Tool.Output.WriteLine($"  head          {formulas.Head}");
    }
}
