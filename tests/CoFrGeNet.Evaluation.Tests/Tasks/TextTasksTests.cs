using System.Text;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Evaluation.Tests;

public class TextTasksTests
{
    [Theory]
    [InlineData("He said @-@ 1 @,@ 000 .  It 's ( good ) \" yes \" ' no ' ; N times", "He said-1,000.  It's (good) \"yes\"' no '; 1 times")]
    [InlineData("It ( good ) ' no ' ; a /' 5/ b", "It (good) 'no'; a /'[0-9]/ b")]
    [InlineData(" = = Heading = = \n text , more . \n next", " == Heading ==\ntext, more.\nnext")]
    [InlineData("dogs ' tails 5 \u00b0 C [ a ] { b }", "dogs' tails 5\u00b0C [a] {b}")]
    public void Wikitext_is_detokenized(string text, string expected) => Assert.Equal(expected, WikitextTask.Detokenize(text));

    [Theory]
    [InlineData("a b\n c", 3)]
    [InlineData(" a b ", 4)]
    [InlineData("", 1)]
    public void Words_are_the_pieces_between_white_space(string text, int expected) => Assert.Equal(expected, WikitextTask.CountWords(text));

    [Fact]
    public void Wikitext_of_a_uniform_model_has_the_vocabulary_as_perplexity_of_a_byte()
    {
        using var folder = new TemporaryFolder();
        // Nothing to detokenize, so the model reads as many bytes as are counted.
        var file = folder.Write("pages.jsonl", Records.Jsonl(new { page = "one page of text" }, new { page = "another" }));
        var results = Records.Run(FakeModel.Uniform(5), "wikitext", file);
        Assert.Equal(257, results.Figure("byte_perplexity"), 1e-2);
        Assert.Equal(Math.Log2(257), results.Figure("bits_per_byte"), 1e-5);
        Assert.Equal(23 * Math.Log(257) / 5, Math.Log(results.Figure("word_perplexity")), 1e-4);
        Assert.All(results.Tasks[0].Figures, figure => Assert.Null(figure.StandardError));
    }

    [Fact]
    public void Lines_become_pages_at_headings()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("wiki.valid.tokens.txt", " \n = First = \n \n text \n = = Section = = \n more \n = Second = \n end \n");
        var results = Records.Run(FakeModel.Uniform(), "wikitext", file);
        Assert.Equal(2, results.Tasks[0].Samples.Count);
        Assert.Equal(" = Second = \n end \n", results.Tasks[0].Samples[1].Sample.Record.Text("page"));
    }

    [Fact]
    public void A_corpus_reports_by_token_by_word_and_by_byte_with_its_protocol()
    {
        using var folder = new TemporaryFolder();
        var results = Records.Run(FakeModel.Uniform(8), "ptb", folder.Write("ptb.test.txt", " ab cd \n ef \n"), new EvaluationOptions { Stride = 4, BootstrapIters = 0 });
        // "ab cd\nef\n": nine bytes, three words and two ends of lines.
        Assert.Equal(257, results.Figure("token_perplexity"), 1e-2);
        Assert.Equal(9 * Math.Log(257) / 5, Math.Log(results.Figure("word_perplexity")), 1e-4);
        Assert.Equal(
            "split test, records joined to one text, lines trimmed; detokenizer none; window 8, stride 4, start-of-text token yes; words split at white space, ends of lines too",
            results.Tasks[0].Questions.Protocol);
    }

    [Fact]
    public void The_last_words_of_lambada_have_a_perplexity_by_token_and_by_word()
    {
        using var folder = new TemporaryFolder();
        var results = Records.Run(FakeModel.Uniform(), "lambada", folder.Write("l.jsonl", Records.Jsonl(new { text = "a b cd" }, new { text = "e fgh" })));
        // " cd" and " fgh": seven bytes, two words.
        Assert.Equal(257, results.Figure("token_perplexity"), 1e-2);
        Assert.Equal(7 * Math.Log(257) / 2, Math.Log(results.Figure("word_perplexity")), 1e-4);
        Assert.Equal(7, results.Tasks[0].Samples.Sum(sample => sample.Answers[0].Tokens));
    }

    [Fact]
    public void A_table_without_a_header_has_its_text_in_the_first_column()
    {
        using var folder = new TemporaryFolder();
        var results = Records.Run(FakeModel.Uniform(), "agnews", folder.Write("a.tsv", "Some \"news\tSports\nMore\tWorld\n"));
        Assert.Equal(["Some \"news", "More"], results.Tasks[0].Samples.Select(sample => ((RollingRequest)sample.Sample.Requests[0]).Text));
        Assert.Equal(Encoding.UTF8.GetByteCount("Some \"newsMore"), results.Tasks[0].Samples.Sum(sample => sample.Answers[0].Tokens));
    }
}
