using System.Text.Json;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Interop;

public sealed class HuggingFaceTokenizerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Gpt2_is_written_with_the_vocabulary_and_the_merges_of_gpt2()
    {
        var vocabulary = SharedData.PathOrSkip("tokenizers/gpt2/encoder.json");
        var merges = SharedData.PathOrSkip("tokenizers/gpt2/vocab.bpe");
        TokenizerFiles.Write(_folder.Root, Gpt2Tokenizer.Instance, forHuggingFace: true);
        using var written = JsonDocument.Parse(File.ReadAllText(_folder.File("tokenizer.json")));
        using var expected = JsonDocument.Parse(File.ReadAllText(vocabulary));
        var model = written.RootElement.GetProperty("model");
        Assert.Equal(
            expected.RootElement.EnumerateObject().Where(entry => entry.Name != "<|endoftext|>").ToDictionary(entry => entry.Name, entry => entry.Value.GetInt32()),
            model.GetProperty("vocab").EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.GetInt32()));
        Assert.Equal(File.ReadLines(merges).Skip(1).Where(line => line.Length > 0), model.GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()!));
        var special = Assert.Single(written.RootElement.GetProperty("added_tokens").EnumerateArray().ToArray());
        Assert.Equal((50256, "<|endoftext|>"), (special.GetProperty("id").GetInt32(), special.GetProperty("content").GetString()));
    }

    [Fact]
    public void Bytes_are_a_vocabulary_without_merges()
    {
        TokenizerFiles.Write(_folder.Root, ByteTokenizer.Instance, forHuggingFace: true);
        using var written = JsonDocument.Parse(File.ReadAllText(_folder.File("tokenizer.json")));
        var model = written.RootElement.GetProperty("model");
        var vocabulary = model.GetProperty("vocab").EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.GetInt32());
        Assert.Equal(Enumerable.Range(0, 256), vocabulary.Values.Order());
        Assert.Equal(('A', ' ', '\n'), ((char)vocabulary["A"], (char)vocabulary["\u0120"], (char)vocabulary["\u010A"]));
        Assert.Equal(0, model.GetProperty("merges").GetArrayLength());
        Assert.False(written.RootElement.GetProperty("pre_tokenizer").GetProperty("use_regex").GetBoolean());
        // Our own reader still knows whose folder it is.
        Assert.Same(ByteTokenizer.Instance, TokenizerFiles.Load(_folder.Root));
    }
}
