using System.Data;
using System.Globalization;
using System.Text.RegularExpressions;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Tests.Accounting;

public partial class ParameterFormulasTests
{
    public static TheoryData<string> Presets => [.. PresetLibrary.Names];

    [Theory]
    [MemberData(nameof(Presets))]
    public void Every_printed_formula_evaluates_to_the_count_beside_it(string name) => Check(PresetLibrary.Get(name).Model);

    [Fact]
    public void Formulas_of_mixed_layers_and_biased_ladders_evaluate_too()
    {
        var ladders = new LadderConfig { Count = 5, Depth = 4, Bias = 1 };
        var attention = new AttentionConfig { Heads = 4, KeyValueHeads = 2 };
        Check(new ModelConfig
        {
            VocabularySize = 300,
            ContextLength = 20,
            Width = 32,
            TiedHead = false,
            Blocks =
            [
                new BlockConfig { Mixer = attention, FeedForward = new CffnConfig { Ladders = ladders } },
                new BlockConfig { Repeat = 2, Mixer = new CAttnMConfig { Heads = 4, Ladders = ladders }, FeedForward = new MlpConfig { HiddenSize = 50 } },
                new BlockConfig { Mixer = new SynthesizerConfig { Heads = 2 }, FeedForward = new CffnConfig { Ladders = ladders with { Kind = LadderKind.Elementwise } } },
                new BlockConfig { Mixer = attention, FeedForward = new GatedLinearConfig() },
            ],
        });
    }

    private static void Check(ModelConfig model)
    {
        var count = ParameterCount.Of(model);
        var formulas = ParameterFormulas.Of(model);
        Assert.Equal(count.Embedding, Evaluate(formulas.Embedding, model));
        Assert.Equal(count.Mixer, Evaluate(formulas.Mixer, model));
        Assert.Equal(count.FeedForward, Evaluate(formulas.FeedForward, model));
        Assert.Equal(count.Norm, Evaluate(formulas.Norm, model));
        Assert.Equal(count.Head, Evaluate(formulas.Head, model));
    }

    private static long Evaluate(string formula, ModelConfig model) => formula.Split("; ").Sum(part => Part(part, model));

    private static long Part(string part, ModelConfig model)
    {
        var pieces = part.Split(", ");
        var values = pieces.Skip(1).Select(piece => piece.Split(" = "))
            .ToDictionary(pair => pair[0], pair => pair[1] == "p / h" ? "(p / h)" : pair[1]);
        values["V"] = $"{model.VocabularySize}";
        values["T"] = $"{model.ContextLength}";
        values["p"] = $"{model.Width}";
        // Twice, since a value may hold a letter; then a space or a bracket between two factors becomes a product, in decimals against overflow.
        var text = Square().Replace(pieces[0], "($1 $1)");
        for (var pass = 0; pass < 2; pass++)
        {
            text = Letter().Replace(text, match => values[match.Value]);
        }

        text = Product().Replace(text, " * ");
        text = Number().Replace(text, "$0.0");
        using var table = new DataTable();
        return Convert.ToInt64(Convert.ToDouble(table.Compute(text, null), CultureInfo.InvariantCulture));
    }

    [GeneratedRegex("([a-zA-Z])\\^2")]
    private static partial Regex Square();

    [GeneratedRegex("[a-zA-Z]")]
    private static partial Regex Letter();

    [GeneratedRegex("(?<=[0-9)]) (?=[0-9(])")]
    private static partial Regex Product();

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Number();
}
