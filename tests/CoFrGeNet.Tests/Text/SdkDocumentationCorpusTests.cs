using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Text;

public sealed class SdkDocumentationCorpusTests : IDisposable
{
    private const string Pack = "packs/Microsoft.NETCore.App.Ref";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Markup_becomes_text()
    {
        WritePack("10.0.1", "a.xml", Member("M:N.T.Do(System.Int32)", """
            <summary>
              See <see cref="M:System.String.Format(System.String,System.Object)" />, <see cref="T:System.Collections.Generic.List`1"/>
              and <see cref="M:N.T.#ctor" /> if   <paramref name="count" /> is <see langword="null" /> &amp; <c>x &lt; 1</c>.
            </summary>
            <remarks><para>First.</para><para>Second <see href="https://example.com/a.b">link</see>.</para>
              <list type="bullet"><item><term>One</term><description>the first</description></item><item><description>two</description></item></list>
              <code>
            if (a)
                b();
            </code>
            <script>ignore();</script></remarks>
            <param name="count">Not prose.</param>
            """));
        var document = Assert.Single(Read());
        Assert.Equal("N.T", document.Name);
        Assert.Equal(
            "See String.Format, List and T if count is null & x < 1.\nFirst.\nSecond link.\nOne: the first\ntwo\nif (a)\nb();\n",
            document.Text);
    }

    [Fact]
    public void Texts_of_one_family_stay_together()
    {
        WritePack(
            "10.0.1",
            "a.xml",
            Summary("T:N.Thing128", "Is small.") + Summary("T:N.IThing", "Is an interface.") + Summary("M:N.Thing`2.Go(System.Int32)", "Goes.")
            + Summary("T:N.Thing128.Inner", "Is nested.") + Summary("P:N.Thing128.Inner.Size", "Has a size.") + Summary("T:M.Thing", "Is elsewhere."));
        Assert.Equal(
            [new("M.Thing", "Is elsewhere.\n"), new("N.Thing", "Is small.\nIs an interface.\nGoes.\nIs nested.\nHas a size.\n")],
            Read());
    }

    [Fact]
    public void Repeated_texts_and_templates_of_other_families_are_dropped()
    {
        WritePack(
            "10.0.1",
            "a.xml",
            Summary("T:N.First", "Waits for the FirstThing.") + Summary("M:N.First.A", "Waits for the OtherThing.")
            + Summary("T:N.Second", "Waits for the SecondThing.") + Summary("M:N.Second.B", "Waits 5 seconds.")
            + Summary("T:N.Third", "Waits 17 seconds.") + Summary("T:N.Fourth", "Waits for the FirstThing."));
        Assert.Equal(
            [new("N.First", "Waits for the FirstThing.\nWaits for the OtherThing.\n"), new("N.Second", "Waits 5 seconds.\n")],
            Read());
    }

    [Fact]
    public void The_newest_version_is_used_whatever_the_order_of_names()
    {
        WritePack("9.0.9", "a.xml", Summary("T:N.Old", "Old."), "net9.0");
        WritePack("10.0.9", "a.xml", Summary("T:N.Older", "Older."));
        WritePack("10.0.10-rc.1", "a.xml", Summary("T:N.Preview", "Preview."));
        WritePack("10.0.10", "a.xml", Summary("T:N.New", "New."));
        Assert.Equal("N.New", Assert.Single(Read()).Name);
    }

    [Fact]
    public void A_missing_sdk_says_where_it_was_looked_for_and_what_to_do()
    {
        var error = Assert.Throws<UserErrorException>(Read);
        Assert.Contains(_folder.Root, error.Message, StringComparison.Ordinal);
        Assert.Contains("--data", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_file_is_a_user_error()
    {
        _folder.Write($"{Pack}/10.0.1/ref/net10.0/a.xml", "<doc><members><member");
        Assert.Contains("a.xml", Assert.Throws<UserErrorException>(Read).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_installed_sdk_gives_millions_of_characters_of_prose_and_the_same_ones_again()
    {
        List<Document> documents;
        try
        {
            documents = [.. new SdkDocumentationCorpus().ReadDocuments()];
        }
        catch (UserErrorException e)
        {
            Assert.Skip(e.Message);
            return;
        }

        Assert.InRange(documents.Sum(d => (long)d.Text.Length), 2_000_000, 20_000_000);
        Assert.Equal(documents, new SdkDocumentationCorpus().ReadDocuments());
        Assert.Contains(documents, d => d.Name == "System.Collections.Generic.Dictionary" && d.Text.Contains("keys and values", StringComparison.Ordinal));
        Assert.DoesNotContain(documents, d => d.Text.Contains("<see", StringComparison.Ordinal) || d.Text.Contains("  ", StringComparison.Ordinal));
        var split = DocumentSplit.Create(documents, 0.05);
        var validation = split.Validation.Sum(d => (double)d.Text.Length) / documents.Sum(d => (double)d.Text.Length);
        Assert.InRange(validation, 0.049, 0.0626);
        var seen = split.Training.SelectMany(d => d.Text.Split('\n')).Select(SentenceTemplate.Of).ToHashSet();
        var lines = split.Validation.SelectMany(d => d.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries)).ToArray();
        Assert.InRange(lines.Count(line => seen.Contains(SentenceTemplate.Of(line))), 0, lines.Length / 50);
    }

    [Theory]
    [InlineData("T:System.String", "String")]
    [InlineData("T:System.Collections.Generic.List`1.Enumerator", "Enumerator")]
    [InlineData("M:System.String.Format(System.String,System.Object)", "String.Format")]
    [InlineData("M:System.Linq.Enumerable.Select``2(System.Int32)", "Enumerable.Select")]
    [InlineData("M:System.Text.Json.JsonDocument.#ctor", "JsonDocument")]
    [InlineData("P:System.String.Length", "String.Length")]
    [InlineData("N:System.Text", "System.Text")]
    [InlineData("!:Foo", "Foo")]
    [InlineData("System.String.Format%2A?displayProperty=nameWithType", "Format%2A")]
    [InlineData("T:", "")]
    public void References_have_short_names(string reference, string name) => Assert.Equal(name, DocumentationProse.ShortName(reference));

    private static string Summary(string member, string text) => Member(member, $"<summary>{text}</summary>");

    private static string Member(string name, string content) => $"<member name=\"{name}\">{content}</member>";

    private void WritePack(string version, string file, string members, string framework = "net10.0") =>
        _folder.Write($"{Pack}/{version}/ref/{framework}/{file}", $"<?xml version=\"1.0\"?><doc><members>{members}</members></doc>");

    private List<Document> Read() => [.. new SdkDocumentationCorpus([_folder.File("none"), _folder.Root]).ReadDocuments()];
}
