using System.Buffers;
using System.Text;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Text;

public class ByteTokenizerTests
{
    private static readonly ByteTokenizer Tokenizer = ByteTokenizer.Instance;

    [Theory]
    [InlineData("")]
    [InlineData("plain")]
    [InlineData("\0 a\u007f\u0080 é 中 😀")]
    [InlineData("lone \ud800 and \udc00")]
    public void Ids_are_the_utf8_bytes(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text).Select(b => (int)b).ToArray();
        var appended = new ArrayBufferWriter<int>();
        Tokenizer.Encode(text, appended);
        Assert.Equal(bytes, Tokenizer.Encode(text));
        Assert.Equal(bytes, appended.WrittenSpan.ToArray());
        Assert.Equal(bytes.Length, Tokenizer.CountTokens(text));
    }

    [Fact]
    public void The_end_of_text_is_id_256_and_no_text_makes_it()
    {
        Assert.Equal(257, Tokenizer.VocabularySize);
        Assert.Equal(256, Tokenizer.EndOfTextId);
        Assert.DoesNotContain(256, Tokenizer.Encode("<|endoftext|>"));
        Assert.Equal("a<|endoftext|>", Tokenizer.Decode([97, 256]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Tokenizer.Decode([257]));
    }

    [Fact]
    public void Streaming_holds_back_incomplete_characters_and_loses_nothing()
    {
        int[] ids = [.. Tokenizer.Encode("aé😀"), 0xE4, 97, 0xF0, 0x9F];
        var decoder = new StreamingDecoder(Tokenizer);
        string[] pieces = [.. ids.Select(decoder.Append).ToArray(), decoder.Flush()];
        Assert.Equal("", pieces[1]);
        Assert.Equal("é", pieces[2]);
        Assert.Equal(["", "", "", "😀"], pieces[3..7]);
        Assert.Equal(Tokenizer.Decode(ids), string.Concat(pieces));
        Assert.Equal("b", decoder.Append(98));
    }
}
