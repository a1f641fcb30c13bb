using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Text;

public class TokenizerFilesTests
{
    [Fact]
    public void Every_name_gives_its_tokenizer_and_survives_a_model_folder()
    {
        using var folder = new TemporaryFolder();
        foreach (var name in Tokenizers.Names)
        {
            var tokenizer = Tokenizers.Get(name);
            Assert.Equal(name, tokenizer.Name);
            TokenizerFiles.Save(folder.Root, tokenizer);
            Assert.Same(tokenizer, TokenizerFiles.Load(folder.Root));
        }

        Assert.Equal([TokenizerFiles.FileName], Directory.GetFileSystemEntries(folder.Root).Select(Path.GetFileName));
    }

    [Fact]
    public void An_unknown_name_is_answered_with_the_allowed_ones()
    {
        var error = Assert.Throws<UserErrorException>(() => Tokenizers.Get("gpt3"));
        Assert.Contains("'gpt3'", error.Message, StringComparison.Ordinal);
        Assert.Contains("byte, gpt2", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"tokenizer_class\":\"GPT2Tokenizer\"}")]
    [InlineData("{\"type\":7}")]
    [InlineData("{\"type\":\"llama\"}")]
    public void A_folder_without_a_usable_file_is_a_user_error_in_one_line(string? content)
    {
        using var folder = new TemporaryFolder();
        if (content is not null)
        {
            folder.Write(TokenizerFiles.FileName, content);
        }

        Assert.DoesNotContain('\n', Assert.Throws<UserErrorException>(() => TokenizerFiles.Load(folder.Root)).Message);
    }
}
