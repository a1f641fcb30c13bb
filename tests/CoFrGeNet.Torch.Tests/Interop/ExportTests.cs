using System.Diagnostics;
using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Interop;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using CoFrGeNet.Torch.Tests.Models;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Interop;

/// <summary>Exported folders run by their own modeling_cofrgenet.py, all in one Python process because loading PyTorch takes seconds.</summary>
public sealed class ExportedModels : IDisposable
{
    private const string Script = """
        import importlib, json, pathlib, sys
        import torch
        torch.set_num_threads(1)
        root = pathlib.Path(sys.argv[1])
        tokens = torch.tensor(json.loads((root / "tokens.json").read_text()))
        result = {}
        for folder in sorted(p for p in root.iterdir() if p.is_dir()):
            # Each folder must bring all it needs.
            sys.path.insert(0, str(folder))
            for name in ("configuration_cofrgenet", "modeling_cofrgenet"):
                sys.modules.pop(name, None)
            model = importlib.import_module("modeling_cofrgenet").load(str(folder))
            with torch.no_grad():
                result[folder.name] = model(tokens).flatten().tolist()
            sys.path.pop(0)
        (root / "logits.json").write_text(json.dumps(result))
        """;

    private readonly TemporaryFolder _folder = new();
    private readonly JsonElement? _logits;

    public ExportedModels()
    {
        if (FindPython() is not { } python)
        {
            return;
        }

        using var scope = NewDisposeScope();
        using var tokens = Tokens();
        _folder.Write("tokens.json", JsonSerializer.Serialize(Enumerable.Range(0, 2).Select(i => tokens[i].data<long>().ToArray())));
        foreach (var name in ExportTests.Names)
        {
            using var model = ExportTests.Create(name);
            Ours[name] = Logits(model);
            var source = Directory.CreateTempSubdirectory("cofrgenet-test-").FullName;
            ModelFolder.Save(source, model, ByteTokenizer.Instance);
            using var input = ModelInput.Open(source);
            ModelOutput.Write(input, _folder.File(name), new OutputOptions { Format = OutputFormat.HuggingFace, Architecture = "cofrgenet" }, ModelFolder.CheckShapes);
            Directory.Delete(source, recursive: true);
            // Last, because training widens the ranges.
            model.train();
            Unclipped[name] = Logits(model);
        }

        Run(python, "-c", Script, _folder.Root);
        _logits = JsonDocument.Parse(File.ReadAllText(_folder.File("logits.json"))).RootElement;
    }

    public Dictionary<string, float[]> Ours { get; } = [];

    public Dictionary<string, float[]> Unclipped { get; } = [];

    public double[] TheirsOrSkip(string name)
    {
        Assert.SkipWhen(_logits is null, "python3 with PyTorch is not on this machine; on Debian it is the package python3-torch");
        return [.. _logits!.Value.GetProperty(name).EnumerateArray().Select(number => number.GetDouble())];
    }

    public void Dispose() => _folder.Dispose();

    // Not the tokens that the ranges were made with, so that clipping has something to clip.
    private static Tensor Tokens() => FormulaWeights.Tokens(GoldenModels.Vocabulary, 11, 2, GoldenModels.Context - 1);

    private static float[] Logits(LanguageModel model)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        return [.. model.forward(Tokens()).data<float>()];
    }

    private static string? FindPython() => new[] { "/usr/bin/python3", "python3" }.FirstOrDefault(python =>
    {
        try
        {
            Run(python, "-c", "import torch");
            return true;
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            return false;
        }
    });

    private static void Run(string program, params string[] arguments)
    {
        var info = new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        info.Environment["OMP_NUM_THREADS"] = "1";
        info.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        using var process = Process.Start(info)!;
        _ = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} ended with {process.ExitCode}: {error}");
        }
    }
}

public sealed class ExportTests(ExportedModels exported) : IClassFixture<ExportedModels>
{
    private static readonly string[] Clipped = ["f", "a", "u", "fa", "fu", "elementwise", "clamp", "fa-llama", "depth1"];

    public static TheoryData<string> Names =>
    [
        .. (IEnumerable<string>)GoldenModels.Names.Select(row => row.Data),
        "fa", "clamp", "unclipped", "distances", "maps", "map-biases", "forget-gates", "sparse", "synthesizer", "gate", "fa-llama", "depth1", "mixed",
    ];

    [Theory]
    [MemberData(nameof(Names))]
    public void Its_own_python_computes_the_same_logits(string name)
    {
        var theirs = exported.TheirsOrSkip(name);
        Assert.Contains(theirs, value => Math.Abs(value) > 0.01);
        // Both are float32 with sums in another order; the bound is what the exchange of models promises.
        ImportTests.AssertClose(theirs, exported.Ours[name], 1e-4);
        if (Clipped.Contains(name))
        {
            // Otherwise the clipping to the trained range would not have been compared.
            Assert.NotEqual(exported.Unclipped[name], exported.Ours[name]);
        }
    }

    internal static LanguageModel Create(string name)
    {
        var model = GoldenModels.Names.Any(row => row.Data == name) ? GoldenModels.Create(name) : Filled(Config(name));
        model.train();
        using (no_grad())
        using (var tokens = FormulaWeights.Tokens(GoldenModels.Vocabulary, 2, 1, GoldenModels.Context))
        {
            model.forward(tokens).Dispose();
        }

        model.eval();
        return model;
    }

    private static LanguageModel Filled(ModelConfig config)
    {
        var model = new LanguageModel(config);
        FormulaWeights.Fill(model, 0.25);
        return model;
    }

    private static ModelConfig Config(string name)
    {
        var gpt2 = GoldenModels.Config("gpt2");
        var llama = GoldenModels.Config("llama");
        var cffn = new CffnConfig { Ladders = new() { Count = 5, Depth = 3, Bias = 0.5 } };
        var cattnm = new CAttnMConfig { Heads = 2, Ladders = new() { Count = 4, Depth = 2 } };
        return name switch
        {
            "fa" => gpt2.WithFeedForward(cffn).WithMixer(cattnm),
            "clamp" => gpt2.WithFeedForward(cffn with { Ladders = cffn.Ladders with { Guard = PoleGuard.Paper } }).WithMixer(new CAttnUConfig { Depth = 3, Guard = PoleGuard.Paper }),
            "unclipped" => gpt2.WithFeedForward(cffn with { Ladders = cffn.Ladders with { ClipToTrainedRange = false } }).WithMixer(new CAttnUConfig { ClipToTrainedRange = false }),
            "distances" => gpt2.WithMixer(new CAttnUConfig { RelativePositions = true, Heads = 2 }),
            "maps" => gpt2.WithMixer(new CAttnUConfig { RelativePositions = true, Heads = 2, InputMaps = 2 }),
            "forget-gates" => gpt2.WithMixer(new CAttnUConfig { RelativePositions = true, Heads = 2, InputMaps = 2, ForgetGates = true }),
            "map-biases" => gpt2.WithMixer(new CAttnUConfig { RelativePositions = true, Heads = 2, InputMaps = 2, InputBias = true }),
            "sparse" => gpt2.WithMixer(new SparseAttentionConfig { Heads = 2, Window = 3, Stride = 4 }),
            "synthesizer" => gpt2.WithMixer(new SynthesizerConfig { Heads = 2 }),
            "gate" => gpt2.WithFeedForward(new GatedLinearConfig { Gate = GateKind.Sigmoid }),
            "fa-llama" => llama.WithFeedForward(cffn).WithMixer(cattnm),
            "depth1" => gpt2.WithFeedForward(new CffnConfig { Ladders = new() { Count = 4, Depth = 1 } }),
            "mixed" => gpt2 with { Blocks = [gpt2.Blocks[0] with { Repeat = 1 }, gpt2.Blocks[0] with { Repeat = 1, Mixer = new CAttnUConfig() }, .. llama.Blocks] },
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "No such model."),
        };
    }
}
