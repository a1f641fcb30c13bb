using System.Text;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using FsCheck;
using FsCheck.Fluent;

namespace CoFrGeNet.Evaluation.Tests;

public class RequestEncoderTests
{
    private const int End = 256;

    private static readonly RequestEncoder Bytes = new(ByteTokenizer.Instance, 8);
    private static readonly RequestEncoder Gpt2 = new(Gpt2Tokenizer.Instance, 64);

    [Fact]
    public void Space_at_the_end_of_the_context_goes_to_the_continuation()
    {
        var (context, continuation) = Bytes.Split("ab \n ", "c");
        Assert.Equal("ab", Text(context));
        Assert.Equal(" \n c", Text(continuation));
    }

    [Fact]
    public void An_empty_context_is_the_start_token()
    {
        Assert.Equal([End], Bytes.Split("", "x").Context);
        Assert.Equal([End], Bytes.Split(" ", "x").Context);
        Assert.Equal(" x", Text(Bytes.Split(" ", "x").Continuation));
    }

    [Fact]
    public void The_start_token_is_the_begin_of_text_where_the_tokenizer_has_one()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("tokenizer.json", """
            {"version":"1.0","added_tokens":[{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}],
             "normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},"post_processor":null,"decoder":{"type":"ByteLevel"},
             "model":{"type":"BPE","vocab":{"x":0,"<s>":1,"</s>":2},"merges":[]}}
            """);
        var tokenizer = Tokenizers.Get(path);
        Assert.Equal((1, 2), (tokenizer.BeginOfTextId, tokenizer.EndOfTextId));
        Assert.Equal([1], new RequestEncoder(tokenizer, 8).Split("", "x").Context);
    }

    [Fact]
    public void The_continuation_has_the_tokens_after_as_many_as_the_context_alone_has()
    {
        // "Hello", " wor" are as many as "Hello", " world": nothing is left of the continuation.
        Assert.Empty(Gpt2.Split("Hello wor", "ld").Continuation);
        var (context, continuation) = Gpt2.Split("The answer:", " yes indeed");
        Assert.Equal(Gpt2Tokenizer.Instance.Encode("The answer:"), context);
        Assert.Equal(Gpt2Tokenizer.Instance.Encode(" yes indeed"), continuation);
        Assert.Equal(2, continuation.Length);
    }

    [Fact]
    public void A_long_context_is_cut_on_its_left()
    {
        var span = Assert.Single(Bytes.Encode(new ContinuationRequest("0123456789", "ab")));
        // Eight inputs: the last target is not read.
        Assert.Equal("3456789a", Text(span.Inputs.ToArray()));
        Assert.Equal("ab", Text(span.Targets.ToArray()));
        Assert.Equal(6, span.FirstPosition);
    }

    [Fact]
    public void A_continuation_longer_than_the_window_is_scored_in_parts()
    {
        var spans = Bytes.Encode(new ContinuationRequest("xy", "0123456789"));
        Assert.Equal(["y0123456", "12345678"], spans.Select(span => Text(span.Inputs.ToArray())));
        Assert.Equal(["01234567", "89"], spans.Select(span => Text(span.Targets.ToArray())));
    }

    [Fact]
    public void Rolling_windows_are_disjoint_and_the_last_one_reaches_back()
    {
        var spans = Bytes.Encode(new RollingRequest("abcdefghijklmnopqrs"));
        Assert.Equal(["abcdefgh", "ijklmnop", "qrs"], spans.Select(span => Text(span.Targets.ToArray())));
        Assert.Equal([End, .. "abcdefg".Select(c => (int)c)], spans[0].Inputs.ToArray());
        Assert.Equal(["hijklmno", "klmnopqr"], spans.Skip(1).Select(span => Text(span.Inputs.ToArray())));
    }

    [Fact]
    public void A_stride_scores_its_tokens_with_the_rest_of_the_window_before_them()
    {
        var spans = Bytes.Encode(new RollingRequest("abcdefghijkl") { Window = 6, Stride = 2, StartToken = false });
        Assert.Equal(["bcdefg", "hi", "jk", "l"], spans.Select(span => Text(span.Targets.ToArray())));
        Assert.Equal(["abcdef", "cdefgh", "efghij", "fghijk"], spans.Select(span => Text(span.Inputs.ToArray())));
    }

    [Fact]
    public void An_empty_text_has_no_windows() => Assert.Empty(Bytes.Encode(new RollingRequest("")));

    [Fact]
    public void Every_token_is_a_target_once() => Prop.ForAll<int, int, int>(CheckWindows).QuickCheckThrowOnFailure();

    private static void CheckWindows(int length, int window, int stride)
    {
        (length, window) = (Math.Abs(length % 200), 1 + Math.Abs(window % 20));
        stride = 1 + Math.Abs(stride % window);
        var tokens = Enumerable.Range(0, length).ToArray();
        var spans = RequestEncoder.Windows(tokens, 1, window, stride).ToArray();
        Assert.Equal(tokens.Skip(1), spans.SelectMany(span => span.Targets.ToArray()));
        Assert.All(spans, span =>
        {
            Assert.InRange(span.Inputs.Length, span.Targets.Length, window);
            // Inputs and targets belong together: each target is its input's successor.
            Assert.Equal(span.Targets.ToArray().Select(token => token - 1), span.Inputs.ToArray()[span.FirstPosition..]);
        });
    }

    private static string Text(int[] tokens) => Encoding.UTF8.GetString([.. tokens.Select(token => (byte)token)]);
}
