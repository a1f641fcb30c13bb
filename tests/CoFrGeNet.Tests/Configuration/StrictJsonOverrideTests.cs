using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Tests.Configuration;

public class StrictJsonOverrideTests
{
    [Fact]
    public void Overrides_reach_members_list_entries_and_what_is_absent()
    {
        var root = Tree("tiny-f");
        StrictJson.Set(root, "width=64");
        StrictJson.Set(root, "blocks.0.repeat=2");
        StrictJson.Set(root, "blocks.0.feedForward.ladders.guard={\"type\":\"clamp\",\"epsilon\":0.05}");
        StrictJson.Set(root, "blocks.0.feedForward.gate=sigmoid");
        StrictJson.Set(root, "blocks.0.mixer.rotary.theta=500");
        StrictJson.Set(root, "tiedHead=false");
        StrictJson.Set(root, "norm.epsilon=1e-6");
        var model = Read(root);
        Assert.Equal(64, model.Width);
        Assert.Equal(2, model.LayerCount);
        var cffn = (CffnConfig)model.Blocks[0].FeedForward;
        Assert.Equal(new ClampGuard { Epsilon = 0.05 }, cffn.Ladders.Guard);
        Assert.Equal(GateKind.Sigmoid, cffn.Gate);
        Assert.Equal(new RotaryConfig { Theta = 500 }, ((AttentionConfig)model.Blocks[0].Mixer).Rotary);
        Assert.False(model.TiedHead);
        Assert.Equal(1e-6, model.Norm.Epsilon);
    }

    [Fact]
    public void A_whole_list_entry_can_be_replaced()
    {
        var root = Tree("tiny");
        StrictJson.Set(root, "blocks.0={\"mixer\":{\"type\":\"cattnu\"},\"feedForward\":{\"type\":\"mlp\"}}");
        Assert.Equal(new CAttnUConfig(), Read(root).Blocks[0].Mixer);
    }

    [Theory]
    [InlineData("a=b=c", "b=c")]
    [InlineData("a=", "")]
    [InlineData("a=two words", "two words")]
    [InlineData("a=\"7\"", "7")]
    public void What_is_not_json_is_a_string(string assignment, string value)
    {
        var root = new JsonObject();
        StrictJson.Set(root, assignment);
        Assert.Equal(value, (string?)root["a"]);
    }

    [Theory]
    [InlineData("width")]
    [InlineData("=3")]
    [InlineData("")]
    public void An_override_without_a_name_or_value_is_refused(string assignment) =>
        Assert.Contains("has no '='", Refused(assignment), StringComparison.Ordinal);

    [Theory]
    [InlineData("blocks.7.repeat=2", "7")]
    [InlineData("blocks.-1.repeat=2", "-1")]
    [InlineData("blocks.first.repeat=2", "first")]
    [InlineData("blocks.7=2", "7")]
    [InlineData("width.of.it=2", "of")]
    [InlineData("width.of=2", "of")]
    public void An_override_that_leads_nowhere_names_the_place(string assignment, string place)
    {
        var message = Refused(assignment);
        Assert.Contains($"--set {assignment}", message, StringComparison.Ordinal);
        Assert.Contains($"'{place}'", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("blocks.0.repat=2", "did you mean 'repeat'")]
    [InlineData("norms.epsilon=2", "did you mean 'norm'")]
    [InlineData("blocks.0.mixer.type=cattnu", "has no member")]
    public void A_misspelt_override_is_refused_when_the_tree_is_read(string assignment, string message)
    {
        var root = Tree("tiny");
        StrictJson.Set(root, assignment);
        Assert.Contains(message, Assert.Throws<UserErrorException>(() => Read(root)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reading_leaves_the_tree_as_it_was()
    {
        var root = StrictJson.Parse("""{ "kind": "rmsNorm" }""", "norm");
        var before = root.ToJsonString();
        StrictJson.Read(root, ConfigJsonContext.Default.NormConfig, "norm");
        Assert.Equal(before, root.ToJsonString());
    }

    private static JsonObject Tree(string preset) =>
        (JsonObject)JsonSerializer.SerializeToNode(PresetLibrary.Get(preset).Model, ConfigJsonContext.Default.ModelConfig)!;

    private static ModelConfig Read(JsonObject root) => StrictJson.Read(root, ConfigJsonContext.Default.ModelConfig, "model");

    private static string Refused(string assignment) => Assert.Throws<UserErrorException>(() => StrictJson.Set(Tree("tiny"), assignment)).Message;
}
