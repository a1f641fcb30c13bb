using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using CoFrGeNet.Data;
using CoFrGeNet.Training;

namespace CoFrGeNet.Cli;

/// <summary>data prepare: text into a folder of token files with a manifest; run again, it goes on where it was interrupted.</summary>
internal sealed class DataPrepareVerb : Verb
{
    private static readonly PreparationOptions Defaults = new() { Inputs = [] };

    private readonly Option<string[]> _input = new("--input")
    {
        Description = "A file or folder of text, JSON lines or Parquet, text and JSON lines also as .gz or .zst; - is text and -.jsonl JSON lines from standard input; may be given several times",
        HelpName = "PATH",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<string[]> _validationInput = new("--validation-input")
    {
        Description = "The same for validation alone; then no share of --input is held out",
        HelpName = "PATH",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<string?> _out = new("--out") { Description = "Folder to write", HelpName = "DIR" };
    private readonly Option<string> _tokenizer = new("--tokenizer") { Description = "byte, gpt2, or the path of a tokenizer.json, vocab.json, tiktoken or tokenizer.bin file", HelpName = "NAME|FILE", DefaultValueFactory = _ => Defaults.Tokenizer };
    private readonly Option<double> _validation = new("--validation") { Description = "Share of documents held out for validation, by a hash of their text", HelpName = "SHARE", DefaultValueFactory = _ => Defaults.ValidationShare };
    private readonly Option<int> _splitSeed = new("--split-seed") { Description = "Chooses which documents are held out", HelpName = "N", DefaultValueFactory = _ => Defaults.SplitSeed };
    private readonly Option<string> _layout = new("--layout") { Description = "llmc (shards with a header) or nanogpt (train.bin and val.bin without one)", HelpName = "LAYOUT", DefaultValueFactory = _ => "llmc" };
    private readonly Option<long?> _shardTokens = new("--shard-tokens") { Description = "Tokens of a file [default: 100000000 for llmc, all in one for nanogpt]", HelpName = "N" };
    private readonly Option<string> _separator = new("--separator") { Description = "The line between documents of a text file; empty: a file is one document", HelpName = "LINE", DefaultValueFactory = _ => Defaults.Separator };
    private readonly Option<string> _field = new("--field") { Description = "The member of JSON lines that holds the text", HelpName = "NAME", DefaultValueFactory = _ => Defaults.Field };
    private readonly Option<string> _column = new("--column") { Description = "The column of Parquet files that holds the text", HelpName = "NAME", DefaultValueFactory = _ => Defaults.Column };
    private readonly Option<int> _longest = new("--longest-document") { Description = "Cut longer documents into several, in characters", HelpName = "N", DefaultValueFactory = _ => Defaults.LongestDocument };
    private readonly Option<bool> _keepDuplicates = new("--keep-duplicates") { Description = "Keep documents whose text came before" };
    private readonly Option<int?> _threads = new("--threads") { Description = "Threads that tokenize; the files are the same for any number [default: one a core]", HelpName = "N" };
    private readonly Option<bool> _resume = new("--resume") { Description = "Only go on with an interrupted preparation; without it one is gone on with, or begun" };
    private readonly Option<bool> _force = new("--force") { Description = "Delete an earlier preparation in --out first" };

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public DataPrepareVerb(ToolConsole console)
        : base("prepare", "Tokenize text into files that train reads without loading them", console) =>
        Accept(
            _input, _validationInput, _out, _tokenizer, _validation, _splitSeed, _layout, _shardTokens, _separator, _field, _column, _longest, _keepDuplicates, _threads, _resume, _force);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var folder = arguments.GetValue(_out) is { Length: > 0 } given ? given : throw new UserErrorException("--out is missing; give the folder to write.");
        var options = ReadOptions(arguments);
        if (arguments.GetValue(_threads) is < 1)
        {
            throw new UserErrorException($"--threads is {arguments.GetValue(_threads)}; allowed is 1 or more.");
        }

        var line = new LiveLine(Tool);
        var preparation = new DataPreparation(folder, options, arguments.GetValue(_threads), progress => line.Show(() => Describe(progress)), Tool.Error.WriteLine);
        if (arguments.GetValue(_force))
        {
            PreparedData.Delete(folder);
        }
        else if (arguments.GetValue(_resume) && !PreparedData.IsPrepared(folder))
        {
            throw new UserErrorException($"{folder} holds no preparation to go on with; leave --resume out to begin one.");
        }

        var clock = Stopwatch.StartNew();
        DataManifest manifest;
        try
        {
            manifest = preparation.Run(Tool.Stop);
        }
        catch (OperationCanceledException) when (Tool.Stop.IsCancellationRequested)
        {
            line.Clear();
            Tool.Error.WriteLine("stopped; the same command goes on after the last complete file");
            return ExitCode.Interrupted;
        }
        finally
        {
            line.Clear();
        }

        Report(folder, manifest, preparation, clock.Elapsed.TotalSeconds, arguments);
        return ExitCode.Done;
    }

    private PreparationOptions ReadOptions(ParseResult arguments) => new()
    {
        Inputs = arguments.GetValue(_input) is { Length: > 0 } inputs ? inputs : throw new UserErrorException("--input is missing; give a file or a folder, or - for standard input."),
        ValidationInputs = arguments.GetValue(_validationInput) ?? [],
        Tokenizer = arguments.GetValue(_tokenizer)!,
        ValidationShare = arguments.GetValue(_validation),
        SplitSeed = arguments.GetValue(_splitSeed),
        Layout = arguments.GetValue(_layout) switch
        {
            "llmc" => TokenLayout.Llmc,
            "nanogpt" => TokenLayout.NanoGpt,
            var other => throw new UserErrorException($"--layout is '{other}'; allowed are llmc and nanogpt."),
        },
        ShardTokens = arguments.GetValue(_shardTokens),
        Separator = arguments.GetValue(_separator) ?? string.Empty,
        Field = arguments.GetValue(_field)!,
        Column = arguments.GetValue(_column)!,
        LongestDocument = arguments.GetValue(_longest),
        DropDuplicates = !arguments.GetValue(_keepDuplicates),
    };

    private static string Describe(PreparationProgress progress)
    {
        var left = progress.SecondsLeft is { } seconds ? $"  {Amounts.Duration(seconds)} left" : string.Empty;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{progress.Documents:N0} documents  {Amounts.Count(progress.Tokens)} tokens  {progress.Tokens / progress.Seconds:N0} tokens/s  {progress.TextBytes / progress.Seconds / 1e6:F1} MB/s{left}");
    }

    private void Report(string folder, DataManifest manifest, DataPreparation preparation, double seconds, ParseResult arguments)
    {
        var kept = preparation.WasComplete ? manifest.Train.Shards.Count + manifest.Validation.Shards.Count : preparation.FilesKept;
        if (IsJson(arguments))
        {
            WriteJson(new
            {
                Folder = Path.GetFullPath(folder),
                preparation.WasComplete,
                FilesKept = kept,
                Seconds = seconds,
                Manifest = JsonSerializer.SerializeToElement(manifest, DataJsonContext.Default.DataManifest),
            });
            return;
        }

        if (kept > 0)
        {
            Tool.Output.WriteLine(preparation.WasComplete ? $"{folder} was complete; its {kept} files are intact" : $"went on after {kept} complete files");
        }

        foreach (var source in manifest.Sources)
        {
            var skipped = string.Concat(source.Skipped.Select(entry => $", {entry.Value:N0} skipped: {entry.Key}"));
            var cut = source.Cut > 0 ? $", {source.Cut:N0} cut from longer ones" : string.Empty;
            Tool.Output.WriteLine($"{source.Path}: {source.Documents:N0} documents, {source.Bytes:N0} bytes, {source.Tokens:N0} tokens, {source.Duplicates:N0} duplicates dropped{cut}{skipped}");
        }

        foreach (var (name, part) in new[] { ("training", manifest.Train), ("validation", manifest.Validation) })
        {
            Tool.Output.WriteLine($"{name}: {part.Documents:N0} documents, {part.Tokens:N0} tokens in {part.Shards.Count} files");
        }

        Tool.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{seconds:F1} seconds; tokenizer {manifest.Tokenizer.Name}, {manifest.Tokenizer.VocabularySize:N0} ids; folder {folder}"));
        if (manifest.Validation.Documents == 0)
        {
            Tool.Error.WriteLine("no document was held out for validation, and training needs some; give a larger --validation, a --validation-input, or cut long texts with --longest-document");
        }
    }
}
