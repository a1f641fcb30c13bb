using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>
/// Learns a byte-level BPE vocabulary: the most frequent adjacent pair of the corpus becomes a token, again and again; of equally frequent pairs the one with the
/// smaller ids. The result does not depend on the number of threads. Memory grows with the number of distinct words, not with the text.
/// </summary>
public sealed class BytePairTrainer
{
    private const int Bytes = 256;

    private readonly Dictionary<ulong, PairCount> _pairs = [];
    private readonly PriorityQueue<ulong, (long Count, ulong Pair)> _queue = new(Comparer<(long Count, ulong Pair)>.Create(
        (a, b) => a.Count != b.Count ? b.Count.CompareTo(a.Count) : a.Pair.CompareTo(b.Pair)));

    private readonly List<(int[] Parts, long Count)> _words = [];
    private readonly List<byte[]> _tokens = [.. ByteSymbols.All.ToArray().Order().Select(symbol => ByteSymbols.ToBytes([symbol])!)];
    private readonly List<BytePairMerge> _merges = [];

    private BytePairTrainer(IEnumerable<KeyValuePair<string, long>> pieces)
    {
        var ids = new int[Bytes];
        for (var id = 0; id < Bytes; id++)
        {
            ids[_tokens[id][0]] = id;
        }

        foreach (var (piece, count) in pieces)
        {
            var parts = Array.ConvertAll(Encoding.UTF8.GetBytes(piece), b => ids[b]);
            Count(parts, count, _words.Count, newToken: null);
            _words.Add((parts, count));
        }

        foreach (var (pair, count) in _pairs)
        {
            _queue.Enqueue(pair, (count.Total, pair));
        }
    }

    /// <summary>Learns a vocabulary. Text is cut into words by GPT-2's pattern; the last id is the end of a text.</summary>
    /// <param name="texts">The corpus.</param>
    /// <param name="vocabularySize">Number of ids wanted, the 256 bytes and the end of a text included; at least 257.</param>
    /// <param name="minimumCount">Pairs that occur less often are not merged, so the vocabulary may come out smaller.</param>
    /// <param name="maxThreads">How many threads may count; null for one a core.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The tokenizer; <see cref="TokenizerFiles.Save"/> or <see cref="WriteFile"/> write it.</returns>
    public static BytePairTokenizer Train(
        IEnumerable<string> texts, int vocabularySize, int minimumCount = 2, int? maxThreads = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, Bytes + 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(minimumCount, 1);
        // Sorted, since the order of a dictionary would follow the threads.
        var pieces = CountPieces(texts, maxThreads, cancellationToken).OrderBy(piece => piece.Key, StringComparer.Ordinal);
        var trainer = new BytePairTrainer(pieces);
        while (trainer._tokens.Count < vocabularySize - 1 && trainer.MergeNext(minimumCount))
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        return new BytePairTokenizer(new BytePairVocabulary
        {
            Tokens = [.. trainer._tokens],
            Merges = trainer._merges,
            Splitters = [Gpt2Splitter.Instance],
            AddedTokens = [new AddedToken(SpecialTokens.EndOfText, trainer._tokens.Count, IsSpecial: true)],
        });
    }

    /// <summary>Writes a tokenizer as a Hugging Face <c>tokenizer.json</c>, or what it was read from as it was.</summary>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    public static void WriteFile(string path, BytePairTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        Storage.DurableFile.Write(path, tokenizer.Vocabulary.File ?? HuggingFaceTokenizerWriter.Write(tokenizer.Vocabulary));
    }

    private static Dictionary<string, long> CountPieces(IEnumerable<string> texts, int? maxThreads, CancellationToken cancellationToken)
    {
        var all = new Dictionary<string, long>(StringComparer.Ordinal);
        var options = new ParallelOptions { MaxDegreeOfParallelism = maxThreads ?? Environment.ProcessorCount, CancellationToken = cancellationToken };
        // One text at a time: taken in blocks, a few long books would be held at once for each thread.
        Parallel.ForEach(
            Partitioner.Create(texts, EnumerablePartitionerOptions.NoBuffering),
            options,
            () => new Dictionary<string, long>(StringComparer.Ordinal),
            (text, loop, counts) =>
            {
                var known = counts.GetAlternateLookup<ReadOnlySpan<char>>();
                for (int start = 0, end; start < text.Length; start = end)
                {
                    end = Gpt2Splitter.Instance.EndOfPiece(text, start);
                    CollectionsMarshal.GetValueRefOrAddDefault(known, text.AsSpan(start, end - start), out _)++;
                }

                return counts;
            },
            counts =>
            {
                lock (all)
                {
                    foreach (var (piece, count) in counts)
                    {
                        CollectionsMarshal.GetValueRefOrAddDefault(all, piece, out _) += count;
                    }
                }
            });
        return all;
    }

    private bool MergeNext(int minimumCount)
    {
        while (_queue.TryDequeue(out var pair, out var priority))
        {
            var count = _pairs[pair];
            if (count.Total != priority.Count)
            {
                // Merges since have taken some of its occurrences.
                if (count.Total >= minimumCount)
                {
                    _queue.Enqueue(pair, (count.Total, pair));
                }

                continue;
            }

            if (count.Total < minimumCount)
            {
                return false;
            }

            Merge((int)(pair >> 32), (int)pair, count.Words);
            return true;
        }

        return false;
    }

    private void Merge(int left, int right, List<int> words)
    {
        var merged = _tokens.Count;
        _tokens.Add([.. _tokens[left], .. _tokens[right]]);
        _merges.Add(new BytePairMerge(left, right, merged, _merges.Count));
        var born = new HashSet<ulong>();
        foreach (var word in words)
        {
            var (parts, count) = _words[word];
            if (Join(parts, left, right, merged) is not { } joined)
            {
                continue;
            }

            Count(parts, -count, word, merged);
            Count(joined, count, word, merged);
            _words[word] = (joined, count);
            for (var i = 0; i + 1 < joined.Length; i++)
            {
                if (joined[i] == merged || joined[i + 1] == merged)
                {
                    born.Add(Pair(joined[i], joined[i + 1]));
                }
            }
        }

        foreach (var pair in born)
        {
            _queue.Enqueue(pair, (_pairs[pair].Total, pair));
        }
    }

    private static int[]? Join(int[] parts, int left, int right, int merged)
    {
        var joined = new List<int>(parts.Length);
        for (var i = 0; i < parts.Length; i++)
        {
            var isPair = parts[i] == left && i + 1 < parts.Length && parts[i + 1] == right;
            joined.Add(isPair ? merged : parts[i]);
            i += isPair ? 1 : 0;
        }

        return joined.Count < parts.Length ? [.. joined] : null;
    }

    // Pairs without the new token have the word on their list already.
    private void Count(int[] parts, long count, int word, int? newToken)
    {
        for (var i = 0; i + 1 < parts.Length; i++)
        {
            var pair = Pair(parts[i], parts[i + 1]);
            if (!_pairs.TryGetValue(pair, out var known))
            {
                _pairs[pair] = known = new PairCount();
            }

            known.Total += count;
            var isNew = newToken is null || parts[i] == newToken || parts[i + 1] == newToken;
            if (isNew && (known.Words.Count == 0 || known.Words[^1] != word))
            {
                known.Words.Add(word);
            }
        }
    }

    private static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private sealed class PairCount
    {
        public long Total { get; set; }

        public List<int> Words { get; } = [];
    }
}
