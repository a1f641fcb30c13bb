using System.CommandLine;
using System.Globalization;
using CoFrGeNet.Configuration;
using CoFrGeNet.Data;
using CoFrGeNet.Evaluation;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;
using CoFrGeNet.Training;
using Spectre.Console;
using static System.FormattableString;
using static TorchSharp.torch;

namespace CoFrGeNet.Cli;

/// <summary>inspect: what the ladders of a trained model do on a text, how near their poles they come, and one of them written out.</summary>
internal sealed class InspectVerb : Verb
{
    private const string FeedForwardPart = "feedForward";
    private const string MixerPart = "mixer";

    private readonly Option<string> _model = new("--model") { Description = "A model folder, for example RUN/final", HelpName = "DIR", Required = true };
    private readonly Option<string?> _text = new("--text") { Description = "A text file or a folder of them to run the model on [default: the documentation of the .NET SDK]", HelpName = "FILE" };
    private readonly Option<int> _tokens = new("--tokens") { Description = "Most tokens of the text that are read", HelpName = "N", DefaultValueFactory = _ => 16384 };
    private readonly Option<string?> _ladder = new("--ladder") { Description = "Write out one ladder: number of the block (of its feed-forward, or N.mixer) and of the ladder, for example 0:17", HelpName = "LAYER:J" };
    private readonly Option<string?> _plot = new("--plot") { Description = "Where the picture of --ladder goes [default: ladder-LAYER-J.png]", HelpName = "FILE" };
    private readonly Option<bool> _copying = new("--copying") { Description = "Also measure whether the model copies a passage that stands in its context" };
    private readonly TorchOptions _torch = new();

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public InspectVerb(ToolConsole console)
        : base("inspect", "Show how near to their poles a model's ladders come on a text, layer by layer, and one ladder as the rational function that it is", console) =>
        Accept([_model, _text, _tokens, _ladder, _plot, _copying, .. _torch.Options]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var folder = arguments.GetRequiredValue(_model);
        var config = ModelFolder.ReadConfig(folder).Model;
        var most = Positive(arguments, _tokens);
        var chosen = arguments.GetValue(_ladder) is { } given ? Chosen.Parse(given, config) : null;
        var device = _torch.Start(arguments);
        var (model, tokenizer) = ModelFolder.Load(folder, device);
        using (model)
        {
            var text = Read(arguments.GetValue(_text), tokenizer, most, config.ContextLength);
            var layers = LadderObservation.Of(model);
            var gates = ForgetGateObservation.Of(model);
            try
            {
                Observe(model, text, most);
                var line = chosen is null ? null : Line(layers, chosen, arguments.GetValue(_plot));
                Write(new Inspection(
                    [.. layers.Select(layer => layer.Report())], [.. gates.Select(gate => (gate.Name, gate.Report()))], Gradients(folder), line, arguments.GetValue(_copying) ? CopyingProbe.Measure(new TorchLanguageModel(model), text) : null), IsJson(arguments));
            }
            finally
            {
                foreach (var observation in layers.Concat<IDisposable>(gates))
                {
                    observation.Dispose();
                }
            }
        }

        return ExitCode.Done;
    }

    private static TokenizedCorpus Read(string? path, ITokenizer tokenizer, int most, int contextLength)
    {
        ICorpus corpus = path is null or DataConfig.SdkDocumentation ? new SdkDocumentationCorpus() : new TextFilesCorpus(path);
        var documents = new List<Document>();
        long characters = 0;
        foreach (var document in corpus.ReadDocuments())
        {
            documents.Add(document);
            characters += document.Text.Length;
            // No token is longer than a dozen characters on average, in any vocabulary.
            if (characters > 16L * Math.Max(most, contextLength))
            {
                break;
            }
        }

        return TokenizedCorpus.Create(documents, tokenizer);
    }

    // Whole windows, so that static mixers see every position.
    private static void Observe(LanguageModel model, TokenizedCorpus text, int most)
    {
        using var quiet = no_grad();
        model.eval();
        var length = (int)Math.Min(model.Config.ContextLength, text.Count);
        for (long start = 0; start == 0 || (start + length <= text.Count && start + length <= most); start += length)
        {
            using var scope = NewDisposeScope();
            var ids = new long[length];
            ((ITokenSequence)text).CopyTo(start, ids);
            model.Hidden(tensor(ids, [1, length], device: model.Device));
        }
    }

    private static ChosenLine Line(IReadOnlyList<LadderObservation> layers, Chosen chosen, string? plot)
    {
        var layer = layers.First(layer => Place(layer.Name) == (chosen.Layer, chosen.Part));
        var line = layer.Line(chosen.Ladder);
        var path = plot ?? Invariant($"ladder-{chosen.Layer}-{chosen.Ladder}.png");
        LadderPlot.SavePng(path, $"{layer.Name}, ladder {chosen.Ladder}: f(t) = {line.Function}", line);
        return new ChosenLine(chosen, line, Path.GetFullPath(path));
    }

    // The run's log lies beside its final/, and one of the trained model's layers may have been near a pole once.
    private static IReadOnlyDictionary<string, double> Gradients(string folder)
    {
        var log = new MetricsReader(Path.Combine(Path.GetFullPath(folder), "..", "metrics.jsonl"));
        log.Refresh();
        return log.LadderGradients;
    }

    // blocks.3.feed_forward.ladders, blocks.3.mixer, blocks.3.mixer.ladders
    private static (int Layer, string Part) Place(string name)
    {
        var parts = name.Split('.');
        return (int.Parse(parts[1], CultureInfo.InvariantCulture), parts[2] == "mixer" ? MixerPart : FeedForwardPart);
    }

    private void Write(Inspection found, bool json)
    {
        if (json)
        {
            WriteJson(Document(found));
            return;
        }

        if (found.Layers.Count == 0)
        {
            Tool.Output.WriteLine("This model has no ladders.");
        }
        else
        {
            WriteTable(found);
        }

        if (found.Gates.Count > 0)
        {
            WriteGates(found);
        }

        if (found.Line is { } line)
        {
            Tool.Output.WriteLine(Invariant($"block {line.Chosen.Layer}, {line.Chosen.Part}, ladder {line.Chosen.Ladder}, along its main input direction ({line.Line.Explained:P0} of the variance of its denominators), t in standard deviations:"));
            Tool.Output.WriteLine($"f(t) = {line.Line.Function}");
            Tool.Output.WriteLine($"picture {line.Plot}");
        }

        if (found.Copying is { } copying)
        {
            WriteCopies("random ids", copying.Length, copying.Random);
            WriteCopies("text", copying.Length, copying.Text);
        }
    }

    private void WriteCopies(string kind, int length, CopyLosses? copies)
    {
        if (copies is not null)
        {
            Tool.Output.WriteLine(Invariant($"copying {length} tokens of {kind}: loss {copies.First:F3} on the first copy, {copies.Second:F3} on the second, {copies.Accuracy:P1} of it copied"));
        }
    }

    private void WriteTable(Inspection found)
    {
        var table = TableOf(["block", "part"], "ladders", "depth", "guarded", "clipped", "least |K_d|", "K_d 1 % .. 99 %", "f 1 % .. 99 %", "largest |f|", "largest gradient");
        foreach (var layer in found.Layers)
        {
            var (index, part) = Place(layer.Name);
            table.AddRow(
                $"{index}", part, $"{layer.Ladders.Count}", $"{layer.Depth}", Invariant($"{layer.GuardedShare:P1}"), Invariant($"{layer.ClippedShare:P2}"), Invariant($"{layer.MinDenominator:G3}"),
                Invariant($"{layer.Denominators.P01:G3} .. {layer.Denominators.P99:G3}"), Invariant($"{layer.Outputs.P01:G3} .. {layer.Outputs.P99:G3}"), Invariant($"{layer.MaxOutput:G3}"),
                found.Gradients.TryGetValue(layer.Name, out var gradient) ? Invariant($"{gradient:G3}") : "not logged");
        }

        Write(table);
    }

    private void WriteGates(Inspection found)
    {
        var table = TableOf(["block"], "ensemble", "head", "forget gate, 1 %", "median", "99 %", "forgets over half at", "tokens left");
        foreach (var (name, gates) in found.Gates)
        {
            foreach (var gate in gates)
            {
                table.AddRow(
                    $"{Place(name).Layer}", $"{gate.Ensemble}", $"{gate.Head}", Invariant($"{gate.Kept.P01:F3}"), Invariant($"{gate.Kept.P50:F3}"), Invariant($"{gate.Kept.P99:F3}"), Invariant($"{gate.ForgettingShare:P1}"), Invariant($"{gate.Memory:F1}"));
            }
        }

        Write(table);
    }

    private static Table TableOf(IReadOnlyList<string> left, params IReadOnlyList<string> right)
    {
        var table = new Table().Border(TableBorder.Simple);
        foreach (var title in left)
        {
            table.AddColumn(new TableColumn(title).NoWrap());
        }

        foreach (var title in right)
        {
            table.AddColumn(new TableColumn(title).RightAligned().NoWrap());
        }

        return table;
    }

    private void Write(Table table)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Tool.Output), Ansi = Tool.IsOutputTerminal ? AnsiSupport.Detect : AnsiSupport.No });
        console.Profile.Width = Math.Max(console.Profile.Width, 180);
        console.Write(table);
    }

    private static object Document(Inspection found) => new
    {
        Layers = found.Layers.Select(layer => new
        {
            Place(layer.Name).Part,
            Index = Place(layer.Name).Layer,
            layer.Name,
            Ladders = layer.Ladders.Count,
            layer.Depth,
            layer.GuardedShare,
            layer.ClippedShare,
            MinDenominator = Finite(layer.MinDenominator),
            MaxOutput = Finite(layer.MaxOutput),
            layer.Denominators,
            layer.Outputs,
            LargestGradient = found.Gradients.TryGetValue(layer.Name, out var gradient) ? gradient : (double?)null,
            PerLadder = layer.Ladders,
        }),
        ForgetGates = found.Gates.SelectMany(layer => layer.Gates.Select(gate => new { Place(layer.Name).Layer, gate.Ensemble, gate.Head, gate.Kept, gate.ForgettingShare, gate.Memory })),
        Ladder = found.Line is { } line
            ? new
            {
                line.Chosen.Layer,
                line.Chosen.Part,
                line.Chosen.Ladder,
                Function = line.Line.Function.ToString(),
                line.Line.Function.Numerator,
                line.Line.Function.Denominator,
                line.Line.Explained,
                Poles = line.Line.Function.Poles(line.Line.Places.Min(), line.Line.Places.Max()),
                line.Plot,
            }
            : null,
        found.Copying,
    };

    private sealed record Inspection(
        IReadOnlyList<LadderLayerReport> Layers, IReadOnlyList<(string Name, IReadOnlyList<ForgetGateReport> Gates)> Gates, IReadOnlyDictionary<string, double> Gradients, ChosenLine? Line, CopyingResult? Copying);

    private sealed record ChosenLine(Chosen Chosen, LadderLine Line, string Plot);

    private sealed record Chosen(int Layer, string Part, int Ladder)
    {
        public static Chosen Parse(string given, ModelConfig config)
        {
            var parts = given.Split(':');
            var place = parts[0].Split('.');
            if (parts.Length != 2 || place.Length > 2 || (place.Length == 2 && place[1] != MixerPart)
                || !int.TryParse(place[0], NumberStyles.None, CultureInfo.InvariantCulture, out var layer) || layer >= config.LayerCount
                || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var ladder))
            {
                throw new UserErrorException($"--ladder is {given}; allowed is LAYER:J or LAYER.mixer:J with a block from 0 to {config.LayerCount - 1}, for example 0:17.");
            }

            var block = config.Layers.ElementAt(layer);
            var hasMixer = block.Mixer is CAttnMConfig or CAttnUConfig;
            var wantsMixer = place.Length == 2 || block.FeedForward is not CffnConfig;
            return wantsMixer && !hasMixer
                ? throw new UserErrorException($"--ladder is {given}; block {layer} has no ladders in its {(place.Length == 2 ? MixerPart : "feed-forward or mixer")}.")
                : new Chosen(layer, wantsMixer ? MixerPart : FeedForwardPart, ladder);
        }
    }
}
