using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Verbs;

public class InfoTests
{
    // PAPER section 2 at V = 50257, T = 1024, p = 1600, 48 layers, 25 heads, L = 16, d = 3 (CAttnU: d = 2).
    private const long V = 50257, T = 1024, P = 1600, N = 48, H = 25, L = 16, D = 3;
    private const long Rest = ((V + T) * P) + ((2 * N) + 1) * 2 * P;
    private const long Attention = N * ((4 * P * P) + (4 * P)), Mlp = N * ((8 * P * P) + (5 * P));
    private const long Cffn = N * ((L * P * (D + 1)) + (2 * P * P));
    private const long CAttnM = N * ((H * L * ((D * P) + T)) + (P * P)), CAttnU = N * T * (4 + T + 1);

    [Theory]
    [InlineData("gpt2-xl", Rest + Attention + Mlp)]
    [InlineData("gpt2-xl-f", Rest + Attention + Cffn)]
    [InlineData("gpt2-xl-a", Rest + CAttnM + Mlp)]
    [InlineData("gpt2-xl-u", Rest + CAttnU + Mlp)]
    [InlineData("gpt2-xl-fa", Rest + CAttnM + Cffn)]
    [InlineData("gpt2-xl-fu", Rest + CAttnU + Cffn)]
    public void Parameters_are_those_of_the_formulas(string preset, long expected)
    {
        var info = ToolRun.Of("info", "--preset", preset, "--json").Succeeded().Json;
        var parameters = info.GetProperty("parameters");
        Assert.Equal(expected, parameters.GetProperty("total").GetInt64());
        var parts = new[] { "embedding", "mixer", "feedForward", "norm", "head" }.Select(name => parameters.GetProperty(name).GetInt64()).ToArray();
        Assert.Equal(expected, parts.Sum());
        Assert.Equal(parts[1] + parts[2] + parts[3] - (2 * P), info.GetProperty("blockParameters").GetInt64());
        Assert.True(info.GetProperty("flopsPerToken").GetInt64() > 0);
        Assert.Equal(1024, info.GetProperty("contextLength").GetInt32());
    }

    [Fact]
    public void The_largest_transformer_has_the_known_size() =>
        Assert.Equal(1_557_611_200, ToolRun.Of("info", "--preset", "gpt2-xl", "--json").Json.GetProperty("parameters").GetProperty("total").GetInt64());

    [Fact]
    public void The_document_holds_shape_formulas_and_configuration()
    {
        var info = ToolRun.Of("info", "--json", "--preset", "tiny-fu").Succeeded().Json;
        Assert.Equal(("tiny-fu", 128, 4), (info.GetProperty("name").GetString(), info.GetProperty("width").GetInt32(), info.GetProperty("layers").GetInt32()));
        Assert.Equal(3 * info.GetProperty("flopsPerToken").GetInt64(), info.GetProperty("trainingFlopsPerToken").GetInt64());
        Assert.Equal("4 (T (2 d + T + 1)), d = 2", info.GetProperty("formulas").GetProperty("mixer").GetString());
        Assert.Equal("cattnu", info.GetProperty("config").GetProperty("blocks")[0].GetProperty("mixer").GetProperty("type").GetString());
    }

    [Fact]
    public void The_table_sets_the_transformer_beside_its_variants()
    {
        var run = ToolRun.Of("info", "--preset", "gpt2-xl-fa").Succeeded();
        Assert.Empty(run.Error);
        var total = run.Output.Split('\n').Single(line => line.Trim().StartsWith("total", StringComparison.Ordinal));
        Assert.Equal(["total", "1.558B", "824.9M", "1.300B", "1.116B", "567.7M", "383.6M"], total.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        Assert.Contains("gpt2-xl-fa: 567,736,000 parameters", run.Output);
    }

    [Fact]
    public void A_model_folder_is_described_by_its_configuration()
    {
        using var runs = new TinyRuns();
        var (model, _) = Configuration.PresetLibrary.Get("tiny-f");
        var config = new Configuration.ModelFolderConfig { Tokenizer = "byte", Model = model };
        runs.Write("config.json", JsonSerializer.Serialize(config, Configuration.ConfigJsonContext.Default.ModelFolderConfig));
        var info = ToolRun.Of("info", "--model", runs.Root, "--json").Succeeded().Json;
        Assert.Equal(Accounting.ParameterCount.Of(model).Total, info.GetProperty("parameters").GetProperty("total").GetInt64());
        Assert.Contains("feed-forward", ToolRun.Of("info", "--model", runs.Root).Succeeded().Output);
    }

    [Fact]
    public void Libtorch_is_not_loaded()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the loader's log is Linux's");
        using var traced = ToolProcess.Start(("LD_DEBUG", "files"), "info", "--preset", "tiny", "--json");
        var (code, _, loaded) = traced.WaitForExit();
        Assert.Equal(0, code);
        Assert.Contains("libcoreclr.so", loaded);
        Assert.DoesNotContain("libtorch", loaded);
        Assert.DoesNotContain("LibTorchSharp", loaded);
    }
}
