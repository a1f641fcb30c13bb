using System.CommandLine;
using System.Globalization;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;
using CoFrGeNet.Inference;
using CoFrGeNet.Interop;
using CoFrGeNet.Torch;
using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Cli;

/// <summary>convert: a model of another program into a model folder, or a model into a folder for the transformers library.</summary>
internal sealed class ConvertVerb : Verb
{
    private static readonly OutputOptions Defaults = new();

    private readonly Option<string> _model = new("--model") { Description = $"What to convert, told from its content: {string.Join("; ", ModelInput.Formats)}", HelpName = "PATH", Required = true };
    private readonly Option<string> _out = new("--out") { Description = "The folder to write", HelpName = "DIR", Required = true };
    private readonly Option<string> _to = new("--to") { Description = "What to write: cofrgenet, a model folder for this tool, or huggingface, a folder for the transformers library", HelpName = "FORMAT", DefaultValueFactory = _ => "cofrgenet" };
    private readonly Option<string> _architecture = new("--architecture") { Description = "With --to huggingface: gpt2, llama, cofrgenet (brings its own PyTorch code), or auto, the first that fits", HelpName = "NAME", DefaultValueFactory = _ => Defaults.Architecture };
    private readonly Option<string> _shardSize = new("--shard-size") { Description = "Most bytes of tensors in one file, with KB, MB or GB", HelpName = "SIZE", DefaultValueFactory = _ => "5GB" };
    private readonly Option<int?> _heads = new("--heads") { Description = "Number of attention heads, for checkpoints of tensors alone", HelpName = "N" };
    private readonly Option<string?> _tokenizer = new("--tokenizer") { Description = "Tokenizer: a name, or a tokenizer.json, vocab.json, tiktoken file or tokenizer.bin, which is kept in the folder [default: the files beside the weights, without any gpt2 for a vocabulary of 50257]", HelpName = "NAME|PATH" };
    private readonly Option<string?> _quantize = new("--quantize") { Description = "With --to cofrgenet: round the matrices to bf16, int8 or int4 for the managed engine; ladders, norms and positions stay float32", HelpName = "TYPE" };
    private readonly Option<bool> _force = new("--force") { Description = "Replace an earlier model folder in --out" };

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public ConvertVerb(ToolConsole console)
        : base("convert", "Convert checkpoints of other programs into model folders, and models into Hugging Face folders; what is written is read back and compared", console) =>
        Accept(_model, _out, _to, _architecture, _shardSize, _heads, _tokenizer, _quantize, _force);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var options = new OutputOptions
        {
            Format = Format(arguments.GetValue(_to)!),
            Architecture = arguments.GetValue(_architecture)!,
            ShardBytes = Bytes(arguments.GetValue(_shardSize)!),
            Quantize = Quantize(arguments.GetValue(_quantize)),
            Force = arguments.GetValue(_force),
        };
        if (options.Format == OutputFormat.CoFrGeNet && options.Architecture != Defaults.Architecture)
        {
            throw new UserErrorException("--architecture goes with --to huggingface only; a model folder of this tool holds every architecture.");
        }

        if (arguments.GetValue(_heads) is < 1 and var heads)
        {
            throw new UserErrorException($"--heads is {heads}; allowed is 1 or more.");
        }

        var folder = arguments.GetRequiredValue(_out);
        ModelOutput.RequireFree(folder, options.Force);
        if (arguments.GetValue(_tokenizer) is { } name)
        {
            // A wrong name shall fail before the work, not after it.
            Text.Tokenizers.Get(name);
        }

        using var input = ModelInput.Open(arguments.GetRequiredValue(_model), new InputOptions { Heads = arguments.GetValue(_heads), Tokenizer = arguments.GetValue(_tokenizer) });
        return Convert(input, folder, options, IsJson(arguments));
    }

    private int Convert(ModelInput input, string folder, OutputOptions options, bool isJson)
    {
        if (input.Keys.Any(key => key.Outcome == KeyOutcome.Refused))
        {
            Report(input, null, isJson);
        }

        Tool.Stop.ThrowIfCancellationRequested();
        var result = ModelOutput.Write(input, folder, options, aside =>
        {
            if (options.Quantize is null)
            {
                LibTorch.EnsureLoaded();
                ModelFolder.CheckShapes(aside);
            }
            else
            {
                InferenceModel.Load(aside).Dispose();
            }
        });
        Report(input, result, isJson);
        return ExitCode.Done;
    }

    private void Report(ModelInput input, OutputResult? result, bool isJson)
    {
        var keys = result?.Keys ?? input.Keys;
        var count = ParameterCount.Of(input.Model);
        if (isJson)
        {
            WriteJson(new
            {
                From = input.Format,
                Architecture = result?.Architecture,
                Folder = result?.Folder,
                Verified = result is not null,
                Parameters = count.Total,
                Tensors = result?.Tensors,
                Bytes = result?.Bytes,
                Files = result?.Files,
                input.Tokenizer,
                Keys = keys,
            });
            return;
        }

        foreach (var key in keys)
        {
            Tool.Output.WriteLine(key.Outcome == KeyOutcome.Mapped
                ? $"mapped   {key.Key} -> {string.Join(", ", key.To)}"
                : $"{key.Outcome.ToString().ToLowerInvariant(),-8} {key.Key}: {key.Reason}");
        }

        if (result is not null)
        {
            Tool.Output.WriteLine($"{input.Format}: {keys.Count(key => key.Outcome == KeyOutcome.Mapped)} tensors mapped, {keys.Count(key => key.Outcome == KeyOutcome.Ignored)} ignored, none refused");
            Tool.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Folder}: {result.Architecture}, {count.Total:N0} parameters, {result.Tensors} tensors, {result.Bytes:N0} bytes; read back and compared bit by bit"));
        }
    }

    private static WeightType? Quantize(string? name) => name switch
    {
        null => null,
        "bf16" => WeightType.BFloat16,
        "int8" => WeightType.Int8,
        "int4" => WeightType.Int4,
        _ => throw new UserErrorException($"--quantize is '{name}'; allowed are bf16, int8 and int4."),
    };

    private static OutputFormat Format(string name) => name switch
    {
        "cofrgenet" => OutputFormat.CoFrGeNet,
        "huggingface" => OutputFormat.HuggingFace,
        _ => throw new UserErrorException($"--to is '{name}'; allowed are cofrgenet and huggingface."),
    };

    private static long Bytes(string text)
    {
        (string Unit, double Factor)[] units = [("GB", 1e9), ("MB", 1e6), ("KB", 1e3), ("B", 1), (string.Empty, 1)];
        var (unit, factor) = units.First(candidate => text.EndsWith(candidate.Unit, StringComparison.OrdinalIgnoreCase));
        return double.TryParse(text[..^unit.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number * factor is >= 1 and <= 9e18
            ? (long)(number * factor)
            : throw new UserErrorException($"--shard-size is '{text}'; allowed is a number of bytes from 1, with KB, MB or GB, for example 5GB.");
    }
}
