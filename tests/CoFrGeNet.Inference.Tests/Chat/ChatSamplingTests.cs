using System.Text.Json;
using CoFrGeNet.Generation;
using Microsoft.Extensions.AI;

namespace CoFrGeNet.Inference.Tests.Chat;

public class ChatSamplingTests
{
    private static readonly SamplingOptions Defaults = new()
    {
        Temperature = 0.6,
        TopK = 7,
        TopP = 0.8,
        Seed = 3,
        MaxTokens = 9,
        PresencePenalty = 0.2,
        FrequencyPenalty = 0.3,
        MinP = 0.1,
        Stop = ["x"],
    };

    [Fact]
    public void Absent_members_mean_the_defaults()
    {
        Assert.Same(Defaults, ChatSampling.Read(null, Defaults));
        Assert.Equal(Defaults with { Stop = [] }, ChatSampling.Read(new ChatOptions(), Defaults) with { Stop = [] });
    }

    [Fact]
    public void An_explicit_zero_is_zero()
    {
        var read = ChatSampling.Read(
            new ChatOptions { Temperature = 0, TopK = 0, Seed = 0, PresencePenalty = 0, FrequencyPenalty = 0, StopSequences = [], AdditionalProperties = new() { ["min_p"] = 0 } }, Defaults);
        Assert.Equal((0.0, 0, 0L, 0.0, 0.0, 0.0, 0), (read.Temperature, read.TopK, read.Seed, read.PresencePenalty, read.FrequencyPenalty, read.MinP, read.Stop.Count));
        Assert.Equal(
            "MaxOutputTokens is 0; allowed is 1 or more.",
            Assert.Throws<UserErrorException>(() => ChatSampling.Read(new ChatOptions { MaxOutputTokens = 0 }, Defaults)).Message);
    }

    [Fact]
    public void Members_and_additional_properties_are_mapped()
    {
        using var json = JsonDocument.Parse("""{ "bias": { "5": -1.5 }, "ids": [1, 2] }""");
        var read = ChatSampling.Read(
            new ChatOptions
            {
                Temperature = 0.9f,
                TopP = 0.95f,
                TopK = 40,
                Seed = 1L << 40,
                MaxOutputTokens = 12,
                PresencePenalty = -0.5f,
                FrequencyPenalty = 0.1f,
                StopSequences = ["a", "b"],
                AdditionalProperties = new()
                {
                    ["min_p"] = 0.05f,
                    ["repetition_penalty"] = "1.2",
                    ["min_tokens"] = 4L,
                    ["ignore_eos"] = true,
                    ["stop_token_ids"] = json.RootElement.GetProperty("ids"),
                    ["logit_bias"] = json.RootElement.GetProperty("bias"),
                    ["logprobs"] = true,
                    ["somebody's"] = new object(),
                },
            },
            Defaults);
        Assert.Equal((0.9, 0.95, 40, 1L << 40, 12), (read.Temperature, read.TopP, read.TopK, read.Seed, read.MaxTokens));
        Assert.Equal((-0.5, 0.1, 0.05, 1.2, 4, true), (read.PresencePenalty, read.FrequencyPenalty, read.MinP, read.RepetitionPenalty, read.MinTokens, read.IgnoreEndOfText));
        Assert.Equal(["a", "b"], read.Stop);
        Assert.Equal([1, 2], read.StopIds);
        Assert.Equal(-1.5, Assert.Single(read.LogitBias).Value);
        Assert.Equal(0, read.LogProbabilities);
    }

    [Theory]
    [InlineData("min_p", "much", "AdditionalProperties[\"min_p\"] is much; allowed is a number.")]
    [InlineData("min_tokens", 1.5, "AdditionalProperties[\"min_tokens\"] is 1.5; allowed is a whole number.")]
    [InlineData("ignore_eos", 1, "AdditionalProperties[\"ignore_eos\"] is 1; allowed is true or false.")]
    [InlineData("stop_token_ids", "5", "AdditionalProperties[\"stop_token_ids\"] is 5; allowed is a list of ids.")]
    [InlineData("logit_bias", 5, "AdditionalProperties[\"logit_bias\"] is 5; allowed is a number for each id.")]
    [InlineData("min_p", 2.0, "MinP is 2; allowed is 0 to 1.")]
    public void Values_of_another_kind_are_named(string name, object value, string expected) => Assert.Equal(
        expected,
        Assert.Throws<UserErrorException>(() => ChatSampling.Read(new ChatOptions { AdditionalProperties = new() { [name] = value } }, Defaults)).Message);

    [Fact]
    public void Json_and_required_tools_are_refused()
    {
        static string Message(ChatOptions options) => Assert.Throws<UserErrorException>(() => ChatSampling.Read(options, Defaults)).Message;
        Assert.Equal("ResponseFormat is JSON; allowed is plain text.", Message(new ChatOptions { ResponseFormat = ChatResponseFormat.Json }));
        Assert.Equal("ToolMode is a call that is required; allowed is automatic or none.", Message(new ChatOptions { ToolMode = ChatToolMode.RequireAny }));
    }
}
