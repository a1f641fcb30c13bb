using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Tests.Configuration;

public class ModelConfigValidationTests
{
    // Preset, override, and the message: path, value, what is allowed.
    [Theory]
    [InlineData("tiny", "vocabularySize=1", "model.vocabularySize is 1; allowed is 2 or more.")]
    [InlineData("tiny", "contextLength=0", "model.contextLength is 0; allowed is 1 or more.")]
    [InlineData("tiny", "width=0", "model.width is 0; allowed is 1 to 1048576.")]
    [InlineData("tiny", "initialStd=0", "model.initialStd is 0; allowed is a number above 0.")]
    [InlineData("tiny", "initialStd=1e999", "model.initialStd is Infinity; allowed is a number above 0.")]
    [InlineData("tiny", "norm.epsilon=0", "model.norm.epsilon is 0; allowed is a number above 0.")]
    [InlineData("tiny", "blocks=[]", "model.blocks is 0 entries; allowed is at least one block.")]
    [InlineData("tiny", "blocks.0.repeat=0", "model.blocks[0].repeat is 0; allowed is 1 or more.")]
    [InlineData("tiny", "blocks.0.mixer.heads=0", "model.blocks[0].mixer.heads is 0; allowed is 1 or more.")]
    [InlineData("tiny", "blocks.0.mixer.heads=3", "model.blocks[0].mixer.heads is 3; allowed is a divisor of the width 128.")]
    [InlineData("tiny", "blocks.0.mixer.headSize=0", "model.blocks[0].mixer.headSize is 0; allowed is 1 or more.")]
    [InlineData("tiny", "blocks.0.mixer.keyValueHeads=0", "model.blocks[0].mixer.keyValueHeads is 0; allowed is 1 or more.")]
    [InlineData("tiny", "blocks.0.mixer.keyValueHeads=3", "model.blocks[0].mixer.keyValueHeads is 3; allowed is a divisor of heads = 4.")]
    [InlineData("llama-3.2-1b", "blocks.0.mixer.headSize=63", "model.blocks[0].mixer.rotary is a head width of 63; allowed is an even head width.")]
    [InlineData("llama-3.2-1b", "blocks.0.mixer.rotary.theta=0", "model.blocks[0].mixer.rotary.theta is 0; allowed is a number above 0.")]
    [InlineData("llama-3.2-1b", "blocks.0.mixer.rotary.scaling.factor=0", "rotary.scaling.factor is 0; allowed is a number above 0.")]
    [InlineData("llama-3.2-1b", "blocks.0.mixer.rotary.scaling.lowFrequencyFactor=0", "rotary.scaling.lowFrequencyFactor is 0; allowed is a number above 0.")]
    [InlineData("llama-3.2-1b", "blocks.0.mixer.rotary.scaling.highFrequencyFactor=1", "rotary.scaling.highFrequencyFactor is 1; allowed is a number above 1.")]
    [InlineData("llama-3.2-1b", "blocks.0.mixer.rotary.scaling.originalContextLength=0", "rotary.scaling.originalContextLength is 0; allowed is 1 or more.")]
    [InlineData("llama-3.2-1b", "blocks.0.feedForward.hiddenSize=0", "model.blocks[0].feedForward.hiddenSize is 0; allowed is 1 or more.")]
    [InlineData("tiny", "blocks.0.feedForward.hiddenSize=-1", "model.blocks[0].feedForward.hiddenSize is -1; allowed is 1 or more.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders={\"count\":3,\"depth\":2,\"kind\":\"elementwise\",\"normalizeOutputs\":true}", "ladders.normalizeOutputs is true with elementwise ladders; allowed is true with projected ladders.")]
    [InlineData("tiny-a", "blocks.0.mixer.ladders.normalizeOutputs=true", "model.blocks[0].mixer.ladders.normalizeOutputs is true; allowed is false in an attention.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders.count=0", "model.blocks[0].feedForward.ladders.count is 0; allowed is 1 or more.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders.depth=0", "model.blocks[0].feedForward.ladders.depth is 0; allowed is 1 to 16.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders.depth=17", "model.blocks[0].feedForward.ladders.depth is 17; allowed is 1 to 16.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders.guard.epsilon=0", "ladders.guard.epsilon is 0; allowed is 1E-05 to 100.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders.guard.epsilon=1e-6", "ladders.guard.epsilon is 1E-06; allowed is 1E-05 to 100.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders.guard.epsilon=101", "ladders.guard.epsilon is 101; allowed is 1E-05 to 100.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders.weightStd=0", "ladders.weightStd is 0; allowed is a number above 0.")]
    [InlineData("tiny-f", "blocks.0.feedForward.ladders.outputStd=-1", "ladders.outputStd is -1; allowed is 0 or more.")]
    [InlineData("tiny-a", "blocks.0.mixer.heads=5", "model.blocks[0].mixer.heads is 5; allowed is a divisor of the width 128.")]
    [InlineData("tiny-a", "blocks.0.mixer.ladders.depth=99", "model.blocks[0].mixer.ladders.depth is 99; allowed is 1 to 16.")]
    [InlineData("tiny-a", "blocks.0.mixer.ladders.kind=elementwise", "model.blocks[0].mixer.ladders.kind is elementwise; allowed is projected.")]
    [InlineData("tiny-u", "blocks.0.mixer.depth=1", "model.blocks[0].mixer.depth is 1; allowed is 2 to 16.")]
    [InlineData("tiny-u", "blocks.0.mixer.depth=17", "model.blocks[0].mixer.depth is 17; allowed is 2 to 16.")]
    [InlineData("tiny-u", "blocks.0.mixer.guard.epsilon=1e-9", "model.blocks[0].mixer.guard.epsilon is 1E-09; allowed is 1E-05 to 100.")]
    [InlineData("tiny", "blocks.0.mixer={\"type\":\"synthesizer\",\"heads\":7}", "model.blocks[0].mixer.heads is 7; allowed is a divisor of the width 128.")]
    [InlineData("tiny", "blocks.0.mixer={\"type\":\"sparseAttention\",\"heads\":4,\"window\":0}", "model.blocks[0].mixer.window is 0; allowed is 1 or more.")]
    [InlineData("tiny", "blocks.0.mixer={\"type\":\"sparseAttention\",\"heads\":4,\"stride\":0}", "model.blocks[0].mixer.stride is 0; allowed is 1 or more.")]
    public void A_value_out_of_range_is_named_with_its_path_and_what_is_allowed(string preset, string assignment, string message)
    {
        var root = (JsonObject)JsonSerializer.SerializeToNode(PresetLibrary.Get(preset).Model, ConfigJsonContext.Default.ModelConfig)!;
        StrictJson.Set(root, assignment);
        var model = StrictJson.Read(root, ConfigJsonContext.Default.ModelConfig, "model");
        Assert.EndsWith(message, Assert.Throws<UserErrorException>(model.Validate).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_second_entry_of_a_list_is_named_as_such()
    {
        var tiny = PresetLibrary.Get("tiny").Model;
        var bad = tiny with { Blocks = [tiny.Blocks[0], tiny.Blocks[0] with { FeedForward = new MlpConfig { HiddenSize = 0 } }] };
        Assert.StartsWith("model.blocks[1].feedForward.hiddenSize is 0;", Assert.Throws<UserErrorException>(bad.Validate).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_are_checked_outside_a_model_too()
    {
        Assert.StartsWith("mixer.heads is 3;", Assert.Throws<UserErrorException>(() => new AttentionConfig { Heads = 3 }.Validate(8, 1)).Message, StringComparison.Ordinal);
        Assert.StartsWith("mixer.contextLength is 0;", Assert.Throws<UserErrorException>(() => new CAttnUConfig().Validate(8, 0)).Message, StringComparison.Ordinal);
        Assert.StartsWith(
            "mixer.heads is 2 over absolute positions; allowed is 1, or more with relativePositions",
            Assert.Throws<UserErrorException>(() => new CAttnUConfig { Heads = 2 }.Validate(8, 4)).Message,
            StringComparison.Ordinal);
        Assert.StartsWith("mixer.inputBias is true without input maps;", Assert.Throws<UserErrorException>(() => new CAttnUConfig { InputBias = true }.Validate(12, 7)).Message);
        Assert.StartsWith("mixer.forgetGates is true over absolute positions;", Assert.Throws<UserErrorException>(() => new CAttnUConfig { ForgetGates = true }.Validate(8, 4)).Message);
        Assert.StartsWith("mixer.initialForgetting is 0; allowed is 1E-06 to 20", Assert.Throws<UserErrorException>(() => new CAttnUConfig { InitialForgetting = 0 }.Validate(8, 4)).Message);
        Assert.StartsWith("mixer.inputMaps is 3;", Assert.Throws<UserErrorException>(() => new CAttnUConfig { InputMaps = 3 }.Validate(8, 4)).Message, StringComparison.Ordinal);
        Assert.StartsWith("feedForward.width is 0;", Assert.Throws<UserErrorException>(() => new MlpConfig().Validate(0)).Message, StringComparison.Ordinal);
    }
}
