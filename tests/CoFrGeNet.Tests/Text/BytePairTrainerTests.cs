using System.Text;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Text;

public class BytePairTrainerTests
{
    private static readonly string[] Corpus =
    [
        "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox doesn't.",
        "aaaaaaa aaaa aa a, banana bananas bandana, 2023 20232023 — naïve café 日本語 日本 😀😀",
        string.Join(' ', Enumerable.Range(0, 400).Select(i => $"word{i % 37} other{i % 11}")),
        Words(2500),
        "if (x == y) {\n    return x;\n}\n\n\nelse {\n    return y;\n}\n",
    ];

    [Fact]
    public void Merges_equal_those_of_counting_every_pair_anew()
    {
        var tokenizer = BytePairTrainer.Train(Corpus, 500, cancellationToken: TestContext.Current.CancellationToken);
        var expected = Reference(Corpus, 500 - 257);
        Assert.Equal(243, expected.Count);
        Assert.Equal(expected, tokenizer.Vocabulary.Merges.Select(merge => (Spell(tokenizer, merge.Left), Spell(tokenizer, merge.Right))));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void The_number_of_threads_changes_nothing(int threads)
    {
        var texts = Enumerable.Range(0, 40).Select(i => Corpus[i % Corpus.Length] + i).ToArray();
        var one = BytePairTrainer.Train(texts, 400, maxThreads: 1, cancellationToken: TestContext.Current.CancellationToken);
        var several = BytePairTrainer.Train(texts.Reverse(), 400, maxThreads: threads, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(one.Vocabulary.Merges, several.Vocabulary.Merges);
    }

    [Fact]
    public void The_file_gives_the_same_tokenizer_back()
    {
        using var folder = new TemporaryFolder();
        var trained = BytePairTrainer.Train(Corpus, 400, cancellationToken: TestContext.Current.CancellationToken);
        var path = folder.File("mine.json");
        BytePairTrainer.WriteFile(path, trained);
        var read = Tokenizers.Get(path);
        Assert.Equal(400, read.VocabularySize);
        Assert.Equal(399, read.EndOfTextId);
        Assert.Equal("<|endoftext|>", read.Decode([399]));
        foreach (var text in Corpus.Append("something never seen: ∑ Привет\r\n"))
        {
            Assert.Equal(trained.Encode(text), read.Encode(text));
            Assert.Equal(text, read.Decode(read.Encode(text)));
        }

        Assert.DoesNotContain(399, read.Encode("a<|endoftext|>b"));
    }

    [Fact]
    public void A_small_corpus_gives_a_smaller_vocabulary()
    {
        var tokenizer = BytePairTrainer.Train(["ab ab"], 1000, cancellationToken: TestContext.Current.CancellationToken);
        // "ab" occurs twice; " ab" once, which is below the minimum.
        Assert.Equal(258, tokenizer.VocabularySize);
    }

    private static string Words(int count)
    {
        string[] syllables = ["ba", "lo", "tri", "ment", "er", "is", "qu", "oo", "n", "sta"];
        var random = new Random(3);
        return string.Join(' ', Enumerable.Range(0, count).Select(_ => string.Concat(Enumerable.Range(0, 1 + random.Next(4)).Select(_ => syllables[random.Next(10)]))));
    }

    private static string Spell(BytePairTokenizer tokenizer, int id) => Encoding.Latin1.GetString(tokenizer.GetBytes(id));

    private static List<(string Left, string Right)> Reference(string[] texts, int merges)
    {
        var words = new List<List<string>>();
        foreach (var text in texts)
        {
            for (var rest = text; rest.Length > 0;)
            {
                var length = Gpt2Splitter.FirstPiece(rest);
                words.Add([.. Encoding.UTF8.GetBytes(rest[..length]).Select(b => ((char)b).ToString())]);
                rest = rest[length..];
            }
        }

        // Ids are given in the order of the symbols' code points, then in merge order.
        var hidden = Enumerable.Range(0, 256).Where(b => b is not ((>= 33 and <= 126) or (>= 161 and <= 172) or >= 174));
        var order = Enumerable.Range(0, 256).Except(hidden).Concat(hidden).Select((b, id) => (Symbol: ((char)b).ToString(), id)).ToDictionary(x => x.Symbol, x => x.id);
        var made = new List<(string, string)>();
        while (made.Count < merges)
        {
            var counts = words.SelectMany(word => word.Zip(word.Skip(1))).GroupBy(pair => pair).Select(group => (Pair: group.Key, Count: group.Count()));
            var best = counts.OrderByDescending(x => x.Count).ThenBy(x => order[x.Pair.First]).ThenBy(x => order[x.Pair.Second]).FirstOrDefault();
            if (best.Count < 2)
            {
                break;
            }

            made.Add(best.Pair);
            order[best.Pair.First + best.Pair.Second] = order.Count;
            foreach (var word in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    if ((word[i], word[i + 1]) == best.Pair)
                    {
                        word[i] += word[i + 1];
                        word.RemoveAt(i + 1);
                    }
                }
            }
        }

        return made;
    }
}
