using CoFrGeNet.Configuration;

namespace CoFrGeNet.Tests.Configuration;

public class StrictJsonTests
{
    private const string Smallest = """
        {
          "vocabularySize": 5, "contextLength": 4, "width": 6, // comments and trailing commas are allowed
          "blocks": [ { "mixer": { "type": "attention", "heads": 2 }, "feedForward": { "type": "cffn", "ladders": { "count": 2, "depth": 3 } } }, ],
        }
        """;

    [Fact]
    public void Absent_members_keep_their_defaults()
    {
        var model = Read(Smallest);

        // Source-generated JSON would give 0, false and null here.
        Assert.Equal(0.02, model.InitialStd);
        Assert.True(model.LearnedPositions);
        Assert.True(model.TiedHead);
        Assert.Equal(new NormConfig { Kind = NormKind.LayerNorm, Epsilon = 1e-5 }, model.Norm);
        Assert.Equal(1, model.Blocks[0].Repeat);
        Assert.Equal(new AttentionConfig { Heads = 2 }, model.Blocks[0].Mixer);
        Assert.True(((AttentionConfig)model.Blocks[0].Mixer).Bias);
        var cffn = (CffnConfig)model.Blocks[0].FeedForward;
        Assert.Equal(GateKind.Silu, cffn.Gate);
        Assert.True(cffn.LinearOnGated);
        Assert.Equal(new LadderConfig { Count = 2, Depth = 3 }, cffn.Ladders);
        Assert.Equal(new SmoothGuard { Epsilon = 1 }, cffn.Ladders.Guard);
        Assert.True(cffn.Ladders.ClipToTrainedRange);
        model.Validate();
    }

    [Fact]
    public void Members_given_in_part_keep_the_rest()
    {
        var model = Read(Smallest
            .Replace("\"depth\": 3", "\"depth\": 3, \"guard\": { \"type\": \"clamp\" }, \"clipToTrainedRange\": false", StringComparison.Ordinal)
            .Replace("\"width\"", "\"norm\": { \"kind\": \"rmsNorm\" }, \"width\"", StringComparison.Ordinal));
        Assert.Equal(new NormConfig { Kind = NormKind.RmsNorm, Epsilon = 1e-5 }, model.Norm);
        var ladders = ((CffnConfig)model.Blocks[0].FeedForward).Ladders;
        Assert.Equal(new ClampGuard { Epsilon = 0.01 }, ladders.Guard);
        Assert.False(ladders.ClipToTrainedRange);
    }

    [Fact]
    public void The_type_may_stand_anywhere()
    {
        var model = Read(Smallest.Replace("\"type\": \"attention\", \"heads\": 2", "\"heads\": 2, \"type\": \"sparseAttention\"", StringComparison.Ordinal));
        Assert.Equal(new SparseAttentionConfig { Heads = 2, Window = 64, Stride = 64 }, model.Blocks[0].Mixer);
    }

    [Theory]
    [InlineData("\"width\": 6", "\"widht\": 6", "model has no member 'widht'; did you mean 'width'?")]
    [InlineData("\"width\": 6", "\"Width\": 6", "model has no member 'Width'; did you mean 'width'?")]
    [InlineData("\"heads\": 2", "\"head\": 2", "model.blocks[0].mixer has no member 'head'; did you mean 'heads'?")]
    [InlineData("\"depth\": 3", "\"dept\": 3", "model.blocks[0].feedForward.ladders has no member 'dept'; did you mean 'depth'?")]
    [InlineData("\"heads\": 2", "\"heads\": 2, \"window\": 4", "model.blocks[0].mixer has no member 'window'")]
    [InlineData("\"attention\"", "\"atention\"", "model.blocks[0].mixer.type is 'atention'; did you mean 'attention'?")]
    [InlineData("\"cffn\"", "\"attention\"", "model.blocks[0].feedForward.type is 'attention'")]
    [InlineData("\"type\": \"cffn\",", "", "model.blocks[0].feedForward needs a member 'type', one of mlp, swiGlu, cffn, gatedLinear")]
    [InlineData("\"cffn\"", "7", "model.blocks[0].feedForward needs a member 'type'")]
    [InlineData("\"ladders\"", "\"gate\": \"tanh\", \"ladders\"", "model.blocks[0].feedForward.gate is 'tanh'; did you mean 'silu'? Allowed are silu, sigmoid, product.")]
    [InlineData("\"depth\"", "\"kind\": 1, \"depth\"", "model.blocks[0].feedForward.ladders.kind is '1'")]
    [InlineData("\"width\"", "\"norm\": { \"kind\": \"layer\" }, \"width\"", "model.norm.kind is 'layer'; did you mean 'layerNorm'?")]
    public void What_the_tree_does_not_know_is_refused_with_path_and_nearest_name(string old, string changed, string message) =>
        Assert.Contains(message, Refused(Smallest.Replace(old, changed, StringComparison.Ordinal)), StringComparison.Ordinal);

    [Theory]
    [InlineData("\"width\": 6", "\"width\": \"6\"", "width")]
    [InlineData("\"width\": 6", "\"width\": 6.5", "width")]
    [InlineData("\"width\": 6", "\"width\": 99999999999", "width")]
    [InlineData("\"width\": 6", "\"width\": [6]", "width")]
    [InlineData("\"width\": 6", "\"width\": null", "width")]
    [InlineData("\"width\": 6", "\"width\": 6, \"tiedHead\": 1", "tiedHead")]
    [InlineData("\"width\": 6", "\"width\": 6, \"norm\": 3", "norm")]
    [InlineData("\"width\": 6", "\"width\": 6, \"norm\": null", "norm")]
    [InlineData("\"heads\": 2", "\"heads\": true", "heads")]
    [InlineData("{ \"count\": 2, \"depth\": 3 }", "null", "ladders")]
    [InlineData("{ \"type\": \"attention\", \"heads\": 2 }", "null", "mixer")]
    [InlineData("{ \"type\": \"attention\", \"heads\": 2 }", "[]", "mixer")]
    [InlineData("\"depth\": 3", "\"depth\": 3, \"guard\": null", "guard")]
    [InlineData("\"depth\": 3", "\"depth\": 3, \"guard\": \"clamp\"", "guard")]
    public void A_value_of_the_wrong_kind_is_refused_by_name(string old, string changed, string member)
    {
        var message = Refused(Smallest.Replace(old, changed, StringComparison.Ordinal));
        Assert.Contains(member, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[null]")]
    [InlineData("7")]
    public void Blocks_must_be_a_list_of_blocks(string blocks) => Assert.Contains(
        "blocks", Refused($$"""{ "vocabularySize": 5, "contextLength": 4, "width": 6, "blocks": {{blocks}} }"""), StringComparison.Ordinal);

    [Fact]
    public void Null_stands_for_an_absent_value_where_one_may_be_absent() =>
        Assert.Null(((AttentionConfig)Read(Smallest.Replace("\"heads\": 2", "\"heads\": 2, \"keyValueHeads\": null, \"rotary\": null", StringComparison.Ordinal)).Blocks[0].Mixer).Rotary);

    [Theory]
    [InlineData("\"width\": 6,", "width")]
    [InlineData("\"heads\": 2", "heads")]
    [InlineData(", \"depth\": 3", "depth")]
    public void A_missing_member_is_named(string removed, string member) =>
        Assert.Contains($"'{member}'", Refused(Smallest.Replace(removed, "", StringComparison.Ordinal)), StringComparison.Ordinal);

    [Theory]
    [InlineData("[1, 2]", "model is not a JSON object")]
    [InlineData("3", "model is not a JSON object")]
    [InlineData("null", "model is not a JSON object")]
    [InlineData("{ \"width\": ", "model is not valid JSON")]
    [InlineData("", "model is not valid JSON")]
    [InlineData("{ \"width\": 6, \"width\": 7 }", "model is not valid JSON")]
    public void What_is_no_json_object_is_refused(string json, string message) =>
        Assert.Contains(message, Refused(json), StringComparison.Ordinal);

    [Theory]
    [InlineData("gpt2-xl", "gtp2-xl")]
    [InlineData("depth", "Dept")]
    [InlineData("a", "zzzz")]
    public void The_nearest_name_has_the_fewest_edits(string expected, string given) =>
        Assert.Equal(expected, StrictJson.Nearest(given, ["a", "gpt2", "gpt2-xl", "depth", "seventeen-letters"]));

    private static ModelConfig Read(string json) => StrictJson.Read(StrictJson.Parse(json, "model"), ConfigJsonContext.Default.ModelConfig, "model");

    private static string Refused(string json) => Assert.Throws<UserErrorException>(() => Read(json)).Message;
}
