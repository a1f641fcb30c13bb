using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using CoFrGeNet.Data;
using CoFrGeNet.Tests;
using SharpToken;

namespace CoFrGeNet.Training.Tests.Data;

/// <summary>
/// A corpus of 232 MB against an independent single-threaded count. Takes minutes, so it runs only when asked for:
/// <c>CoFrGeNet.Training.Tests -class "*BooksPreparationTests" -explicit only</c>.
/// </summary>
public class BooksPreparationTests
{
    [Fact(Explicit = true)]
    public void Documents_and_tokens_equal_those_of_a_plain_loop_and_threads_change_nothing()
    {
        using var folder = new TemporaryFolder();
        var output = TestContext.Current.TestOutputHelper!;
        var books = SharedData.PathOrSkip("books");
        var hashes = new List<string[]>();
        var seconds = new List<double>();
        DataManifest? manifest = null;
        foreach (var threads in new[] { 1, 2, 4 })
        {
            var clock = Stopwatch.StartNew();
            var options = new PreparationOptions { Inputs = [books], ShardTokens = 10_000_000 };
            manifest = new DataPreparation(folder.File($"{threads}"), options, threads).Run(TestContext.Current.CancellationToken);
            seconds.Add(clock.Elapsed.TotalSeconds);
            hashes.Add([.. manifest.Train.Shards.Concat(manifest.Validation.Shards).Select(shard => shard.Checksum)]);
            output.WriteLine($"{threads} threads: {seconds[^1]:F1} s, {manifest.Sources[0].Bytes / seconds[^1] / 1e6:F1} MB/s, peak {Process.GetCurrentProcess().PeakWorkingSet64 / 1e6:F0} MB");
        }

        Assert.Equal(hashes[0], hashes[1]);
        Assert.Equal(hashes[0], hashes[2]);
        var loop = Stopwatch.StartNew();
        var (documents, tokens) = CountPlainly(books);
        output.WriteLine($"SharpToken, one thread: {loop.Elapsed.TotalSeconds:F1} s; ratio to one of our threads {loop.Elapsed.TotalSeconds / seconds[0]:F1}, to two {loop.Elapsed.TotalSeconds / seconds[1]:F1}");
        output.WriteLine($"{documents} documents, {tokens} tokens with a mark each");
        Assert.Equal(documents, manifest!.Sources[0].Documents + manifest.Sources[0].Duplicates);
        Assert.Equal(tokens, manifest.Sources[0].Tokens);
    }

    private static (long Documents, long Tokens) CountPlainly(string folder)
    {
        var encoding = GptEncoding.GetEncoding("r50k_base");
        long documents = 0, tokens = 0;
        foreach (var path in Directory.GetFiles(folder, "*.gz").Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress), Encoding.UTF8);
            var lines = new List<string>();
            while (reader.ReadLine() is { } line)
            {
                if (line != "<|endoftext|>")
                {
                    lines.Add(line);
                    continue;
                }

                documents++;
                tokens += encoding.Encode(string.Join('\n', lines)).Count + 1;
                lines.Clear();
            }

            Assert.Empty(lines);
        }

        return (documents, tokens);
    }
}
