using System.Text;
using CoFrGeNet.Generation;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Generation;

public class GeneratedSequenceTests
{
    private static readonly SamplingOptions Greedy = new() { Temperature = 0, MaxTokens = 100 };

    [Fact]
    public void Asks_for_the_prompt_first_then_for_one_token_at_a_time()
    {
        var model = ScriptedModel.Saying("ab"u8.ToArray(), 3);
        var sequence = new GeneratedSequence(model, ByteTokenizer.Instance, [1, 2, 3], Greedy);
        using var session = model.StartSession();
        Assert.Equal([1, 2, 3], sequence.Input.ToArray());
        Assert.Equal('a', sequence.Next(session.Append(sequence.Input.Span)).Token);
        Assert.Equal(['a'], sequence.Input.ToArray());
        Assert.False(sequence.IsFinished);
        Assert.Equal('b', sequence.Next(session.Append(sequence.Input.Span)).Token);
        var last = sequence.Next(session.Append(sequence.Input.Span));
        Assert.Equal((256, FinishReason.Stop, true), (last.Token, last.Finish, last.IsEndMark));
        Assert.Equal((3, 3, FinishReason.Stop), (sequence.PromptLength, sequence.Count, sequence.Finish));
        Assert.Throws<InvalidOperationException>(() => sequence.Next(session.Logits));
    }

    [Fact]
    public void Many_sequences_side_by_side_say_what_each_says_alone()
    {
        var model = Babbling();
        var options = Enumerable.Range(0, 12).Select(i => new SamplingOptions
        {
            Temperature = 0.5 + (i % 3),
            TopP = i % 2 == 0 ? 1 : 0.9,
            TopK = i % 5 == 0 ? 20 : 0,
            Seed = i,
            MaxTokens = 5 + (3 * i),
            FrequencyPenalty = i % 4 * 0.2,
            LogProbabilities = 2,
        }).ToArray();
        int[][] prompts = [.. options.Select((_, i) => Enumerable.Range(65, 1 + i).ToArray())];
        var alone = options.Select((each, i) => GenerationResult.Collect(new TextGenerator(model, ByteTokenizer.Instance).Stream(prompts[i], new Sampler(each)))).ToArray();

        var running = options.Select((each, i) => (Sequence: new GeneratedSequence(model, ByteTokenizer.Instance, prompts[i], each), Session: model.StartSession(), Pieces: new List<GeneratedPiece>())).ToArray();
        while (running.Where(one => !one.Sequence.IsFinished).ToArray() is { Length: > 0 } open)
        {
            ((ILanguageModel)model).Append([.. open.Select(one => new SessionTokens(one.Session, one.Sequence.Input))]);
            foreach (var one in open)
            {
                one.Pieces.Add(one.Sequence.Next(one.Session.Logits));
            }
        }

        for (var i = 0; i < options.Length; i++)
        {
            var together = GenerationResult.Collect(running[i].Pieces);
            Assert.Equal(alone[i].Tokens, together.Tokens);
            Assert.Equal(alone[i].Text, together.Text);
            Assert.Equal(alone[i].LogProbabilities.Select(entry => entry.Chosen), together.LogProbabilities.Select(entry => entry.Chosen));
        }
    }

    [Fact]
    public void Stop_ids_end_the_text_and_are_no_part_of_it()
    {
        var result = Generate("hello", Greedy with { StopIds = ['l'] });
        Assert.Equal(("he", FinishReason.Stop, 2), (result.Text, result.Finish, result.Tokens.Count));
    }

    [Fact]
    public void An_end_that_is_ignored_adds_nothing_and_the_text_goes_on()
    {
        var result = Generate("ab", Greedy with { IgnoreEndOfText = true, MaxTokens = 5 });
        Assert.Equal("ab", result.Text);
        Assert.Equal(['a', 'b', 256, 256, 256], result.Tokens);
        Assert.Equal(FinishReason.Length, result.Finish);
    }

    [Fact]
    public void Nothing_ends_the_text_before_the_least_number_of_tokens()
    {
        // After "ab" the end is certain; where it is excluded the smallest id of the equally unlikely wins.
        var result = Generate("ab", Greedy with { MinTokens = 4, Stop = ["a"] });
        Assert.Equal("ab\0\0", result.Text);
        Assert.Equal(FinishReason.Stop, result.Finish);
        Assert.Equal("ab", Generate("abab", Greedy with { MinTokens = 2, Stop = ["a"] }).Text);
    }

    [Fact]
    public void Log_probabilities_are_of_the_raw_logits()
    {
        var options = Greedy with { LogProbabilities = 2, MaxTokens = 2, LogitBias = new Dictionary<int, double> { ['z'] = 1000 } };
        var result = Generate("hello", options);
        Assert.Equal(['z', 'z'], result.Tokens);
        Assert.Equal('h', result.LogProbabilities[0].Top[0].Token);
        Assert.Equal(2, result.LogProbabilities[0].Top.Count);
        // One logit of 100 among 256 zeros.
        Assert.InRange(result.LogProbabilities[0].Chosen.LogProbability, -100.001, -99.999);
        Assert.Empty(Generate("hello", Greedy).LogProbabilities);
    }

    [Fact]
    public void Ids_that_no_vocabulary_has_are_refused()
    {
        var model = ScriptedModel.Saying([], 1);
        Assert.Equal(
            "sampling.logitBias is for token 257; allowed is an id from 0 to 256.",
            Assert.Throws<UserErrorException>(() => new GeneratedSequence(model, ByteTokenizer.Instance, [1], Greedy with { LogitBias = new Dictionary<int, double> { [257] = 1 } })).Message);
        Assert.Equal(
            "sampling.stopIds is -1; allowed is 0 to 256.",
            Assert.Throws<UserErrorException>(() => new GeneratedSequence(model, ByteTokenizer.Instance, [1], Greedy with { StopIds = [-1] })).Message);
    }

    [Fact]
    public void Prompts_are_checked_and_special_tokens_read_only_where_they_are_meant()
    {
        var encoder = new PromptEncoder(ByteTokenizer.Instance, 20);
        Assert.Equal(Encoding.UTF8.GetBytes("a<|endoftext|>").Select(value => (int)value), encoder.Encode("a<|endoftext|>"));
        Assert.Equal(['a', 256, 256, 'b'], encoder.Encode([new PromptPart("a<|endoftext|><|endoftext|>b", IsMarked: true)]));
        Assert.Equal([256], encoder.Encode([]));
        Assert.Equal([], encoder.Marked(string.Empty));
        Assert.Equal("The prompt has no token; give one or more.", Assert.Throws<UserErrorException>(() => encoder.Check([])).Message);
        Assert.Equal("Token 1 of the prompt is 257; allowed are ids from 0 to 256.", Assert.Throws<UserErrorException>(() => encoder.Check([3, 257])).Message);
        Assert.Contains("The prompt has 21 tokens", Assert.Throws<UserErrorException>(() => encoder.Check(new int[21])).Message);
    }

    // A model with an opinion of its own for every sequence.
    private static ScriptedModel Babbling() => new(257, 100, sequence =>
    {
        var random = new Random(sequence.Aggregate(7, (hash, token) => unchecked((hash * 31) + token)));
        return [.. Enumerable.Range(0, 257).Select(_ => random.NextSingle() * 6)];
    });

    private static GenerationResult Generate(string says, SamplingOptions options) =>
        new TextGenerator(ScriptedModel.Saying(Encoding.UTF8.GetBytes(says), 6), ByteTokenizer.Instance).Generate("prompt", options, TestContext.Current.CancellationToken);
}
