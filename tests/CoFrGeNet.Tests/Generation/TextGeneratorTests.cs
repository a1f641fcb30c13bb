using System.Text;
using CoFrGeNet.Generation;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Generation;

public class TextGeneratorTests
{
    private static readonly SamplingOptions Greedy = new() { Temperature = 0, MaxTokens = 100 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Ends_at_the_end_of_text_token_which_is_no_part_of_the_result()
    {
        var result = Generate("hello", Greedy);
        Assert.Equal("hello", result.Text);
        Assert.Equal(Encoding.UTF8.GetBytes("hello").Select(b => (int)b), result.Tokens);
        Assert.Equal(FinishReason.Stop, result.Finish);
    }

    [Fact]
    public void A_prompt_follows_the_begin_of_text_token_where_there_is_one()
    {
        var tokenizer = Tokenizers.Get(SharedData.PathOrSkip("checkpoints/stories260K/tok512.bin"));
        var encoder = new PromptEncoder(tokenizer, 1000);
        Assert.Equal([1, .. tokenizer.Encode("Once upon")], encoder.Encode("Once upon"));
        Assert.Equal([1], encoder.Encode(string.Empty));
    }

    [Fact]
    public void Ends_after_as_many_tokens_as_were_asked_for()
    {
        var result = Generate("hello", Greedy with { MaxTokens = 3 });
        Assert.Equal("hel", result.Text);
        Assert.Equal(3, result.Tokens.Count);
        Assert.Equal(FinishReason.Length, result.Finish);
    }

    [Theory]
    [InlineData("one two three", "two", "one ")]
    [InlineData("aab", "ab", "a")]
    [InlineData("say <|en and <|end|> now", "<|end|>", "say <|en and ")]
    [InlineData("ababac", "abac", "ab")]
    [InlineData("x", "x", "")]
    public void A_stop_text_over_several_tokens_is_never_emitted(string says, string stop, string expected)
    {
        var pieces = Pieces(says, Greedy with { Stop = ["never", stop] });
        Assert.Equal(expected, string.Concat(pieces.Select(piece => piece.Text)));
        Assert.Equal(FinishReason.Stop, pieces[^1].Finish);
        Assert.All(pieces[..^1], piece => Assert.Null(piece.Finish));
    }

    [Fact]
    public void The_beginning_of_a_stop_text_is_held_back_and_comes_when_it_was_none()
    {
        var pieces = Pieces("a--b", Greedy with { Stop = ["---"] });
        Assert.Equal(["a", "", "", "--b", ""], pieces.Select(piece => piece.Text));
        Assert.Equal("a--", Generate("a--", Greedy with { Stop = ["---"] }).Text);
        Assert.Equal("a-", Generate("a---", Greedy with { Stop = ["---"], MaxTokens = 2 }).Text);
    }

    [Fact]
    public void Characters_come_whole()
    {
        var pieces = Pieces("é€😀", Greedy);
        Assert.Equal(["", "é", "", "", "€", "", "", "", "😀", ""], pieces.Select(piece => piece.Text));
    }

    [Fact]
    public void A_character_that_never_became_whole_is_a_replacement_at_the_end()
    {
        var result = Generate("a€", Greedy with { MaxTokens = 3 });
        Assert.Equal("a\uFFFD", result.Text);
        Assert.Equal(FinishReason.Length, result.Finish);
    }

    [Fact]
    public void Generation_fills_the_context_and_ends()
    {
        var model = ScriptedModel.Saying(Encoding.UTF8.GetBytes(new string('x', 50)), 4, contextLength: 10);
        var result = new TextGenerator(model, ByteTokenizer.Instance).Generate("four", Greedy, Cancel);
        Assert.Equal(7, result.Tokens.Count);
        Assert.Equal(FinishReason.Length, result.Finish);
        Assert.Equal(10, model.LongestSession);
    }

    [Fact]
    public void A_prompt_longer_than_the_context_is_refused_with_numbers()
    {
        var generator = new TextGenerator(ScriptedModel.Saying([], 0, contextLength: 10), ByteTokenizer.Instance);
        var message = Assert.Throws<UserErrorException>(() => generator.Stream("eleven char", new Sampler(Greedy), Cancel)).Message;
        Assert.Equal("The prompt has 11 tokens; this model's context holds 10. Shorten the prompt by 1 tokens.", message);
    }

    [Fact]
    public void An_empty_prompt_starts_from_the_end_of_text_token()
    {
        var model = new ScriptedModel(257, 10, sequence =>
        {
            Assert.Equal(256, sequence[0]);
            var logits = new float[257];
            logits[sequence.Count == 1 ? 'y' : 256] = 1;
            return logits;
        });
        Assert.Equal("y", new TextGenerator(model, ByteTokenizer.Instance).Generate("", Greedy, Cancel).Text);
    }

    [Fact]
    public void Ids_that_only_pad_the_vocabulary_are_never_drawn()
    {
        var model = new ScriptedModel(300, 10, _ =>
        {
            var logits = new float[300];
            logits[299] = 50;
            logits['z'] = 40;
            return logits;
        });
        Assert.Equal("zz", new TextGenerator(model, ByteTokenizer.Instance).Generate("a", Greedy with { MaxTokens = 2 }, Cancel).Text);
    }

    [Fact]
    public void Stopping_ends_between_two_tokens()
    {
        using var stop = new CancellationTokenSource();
        var generator = new TextGenerator(ScriptedModel.Saying("abc"u8.ToArray(), 6), ByteTokenizer.Instance);
        var pieces = generator.Stream("prompt", new Sampler(Greedy), stop.Token).GetEnumerator();
        Assert.True(pieces.MoveNext());
        stop.Cancel();
        Assert.Throws<OperationCanceledException>(() => pieces.MoveNext());
    }

    private static GenerationResult Generate(string says, SamplingOptions options) => Generator(says).Generate("prompt", options, Cancel);

    private static List<GeneratedPiece> Pieces(string says, SamplingOptions options) =>
        [.. Generator(says).Stream("prompt", new Sampler(options), Cancel)];

    private static TextGenerator Generator(string says) =>
        new(ScriptedModel.Saying(Encoding.UTF8.GetBytes(says), 6), ByteTokenizer.Instance);
}
