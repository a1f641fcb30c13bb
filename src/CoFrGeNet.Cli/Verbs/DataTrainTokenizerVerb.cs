using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using CoFrGeNet.Text;
using CoFrGeNet.Training;

namespace CoFrGeNet.Cli;

/// <summary>data train-tokenizer: a small byte-level BPE vocabulary from text, as tokenizer.json.</summary>
internal sealed class DataTrainTokenizerVerb : Verb
{
    private readonly Option<string[]> _input = new("--input")
    {
        Description = "A file or folder, as in 'data prepare'; may be given several times",
        HelpName = "PATH",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<int> _size = new("--vocabulary-size") { Description = "Number of ids, the 256 bytes and <|endoftext|> included", HelpName = "N", DefaultValueFactory = _ => 4096 };
    private readonly Option<int> _minimum = new("--minimum-count") { Description = "Pairs that occur less often are not merged", HelpName = "N", DefaultValueFactory = _ => 2 };
    private readonly Option<string?> _output = new("--output") { Description = "The file to write, in the format of Hugging Face's tokenizer.json", HelpName = "FILE" };
    private readonly Option<string> _field = new("--field") { Description = "The member of JSON lines that holds the text", HelpName = "NAME", DefaultValueFactory = _ => "text" };
    private readonly Option<string> _column = new("--column") { Description = "The column of Parquet files that holds the text", HelpName = "NAME", DefaultValueFactory = _ => "text" };
    private readonly Option<int?> _threads = new("--threads") { Description = "Threads that count; the result is the same for any number [default: one a core]", HelpName = "N" };
    private readonly Option<bool> _force = new("--force") { Description = "Replace an existing file" };

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public DataTrainTokenizerVerb(ToolConsole console)
        : base("train-tokenizer", "Learn a byte-level BPE vocabulary from text", console) => Accept(_input, _size, _minimum, _output, _field, _column, _threads, _force);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var output = arguments.GetValue(_output) is { Length: > 0 } file ? file : throw new UserErrorException("--output is missing; give the file to write, for example tokenizer.json.");
        var size = arguments.GetValue(_size);
        if (size is < 257 or > 1_000_000)
        {
            throw new UserErrorException($"--vocabulary-size is {size}; allowed is 257 to 1000000.");
        }

        if (arguments.GetValue(_minimum) < 1 || arguments.GetValue(_threads) is < 1)
        {
            throw new UserErrorException("--minimum-count and --threads must be 1 or more.");
        }

        if (File.Exists(output) && !arguments.GetValue(_force))
        {
            throw new UserErrorException($"{output} exists; give another file with --output, or replace it with --force.");
        }

        var parent = Path.GetDirectoryName(Path.GetFullPath(output));
        if (!Directory.Exists(parent))
        {
            throw new UserErrorException($"the folder {parent} of --output does not exist; make it, or give another file.");
        }

        var inputs = arguments.GetValue(_input) is { Length: > 0 } given ? given : throw new UserErrorException("--input is missing; give a file or a folder, or - for standard input.");
        var clock = Stopwatch.StartNew();
        var corpus = new InputTexts(inputs, arguments.GetValue(_field)!, arguments.GetValue(_column)!);
        var line = new LiveLine(Tool);
        var texts = corpus.Read(() => line.Show(() => $"{corpus.Documents:N0} documents read"), Tool.Stop);
        var tokenizer = BytePairTrainer.Train(texts, size, arguments.GetValue(_minimum), arguments.GetValue(_threads), Tool.Stop);
        line.Clear();
        if (corpus.Documents == 0)
        {
            throw new UserErrorException("the inputs hold no text to learn from.");
        }

        BytePairTrainer.WriteFile(output, tokenizer);
        Report(output, tokenizer, corpus, clock.Elapsed.TotalSeconds, arguments);
        return ExitCode.Done;
    }

    private void Report(string output, BytePairTokenizer tokenizer, InputTexts corpus, double seconds, ParseResult arguments)
    {
        if (IsJson(arguments))
        {
            WriteJson(new { File = Path.GetFullPath(output), tokenizer.VocabularySize, tokenizer.EndOfTextId, corpus.Documents, corpus.Bytes, corpus.Skipped, Seconds = seconds });
            return;
        }

        Tool.Output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{output}: {tokenizer.VocabularySize:N0} ids from {corpus.Documents:N0} documents, {corpus.Bytes:N0} bytes, in {seconds:F1} seconds"));
        if (corpus.Skipped > 0)
        {
            Tool.Error.WriteLine($"{corpus.Skipped:N0} lines or rows held no text and were skipped");
        }

        if (tokenizer.VocabularySize < arguments.GetValue(_size))
        {
            Tool.Error.WriteLine($"the text has too few frequent pairs for {arguments.GetValue(_size)} ids; give more text or a smaller --vocabulary-size");
        }
    }
}
