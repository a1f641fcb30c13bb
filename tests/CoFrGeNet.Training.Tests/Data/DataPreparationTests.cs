using CoFrGeNet.Data;
using CoFrGeNet.Storage;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using Parquet;
using Parquet.Schema;

namespace CoFrGeNet.Training.Tests.Data;

public class DataPreparationTests
{
    private static readonly string[] Texts = [.. Enumerable.Range(0, 300).Select(i => $"Document {i} tells that {i * 7 % 13} follows {i * 5 % 11}.\n" + new string('z', i % 40))];

    [Theory]
    [InlineData(TokenLayout.Llmc, "byte", 2)]
    [InlineData(TokenLayout.Llmc, "gpt2", 2)]
    [InlineData(TokenLayout.NanoGpt, "gpt2", 2)]
    public void Every_document_is_there_once_in_its_order_with_its_mark(TokenLayout layout, string tokenizer, int bytesPerToken)
    {
        using var folder = new TemporaryFolder();
        var options = Options(WriteText(folder, Texts)) with { Layout = layout, Tokenizer = tokenizer, ValidationShare = 0.2 };
        var manifest = Prepare(folder, "out", options);
        using var data = PreparedData.Open(folder.File("out"));
        var (train, validation) = (Documents(data.Train, data.Tokenizer, layout), Documents(data.Validation, data.Tokenizer, layout));
        Assert.Equal(Texts.Order(), train.Concat(validation).Order());
        Assert.Equal(Texts.Where(train.Contains), train);
        Assert.InRange(validation.Count, 30, 90);
        Assert.Equal((300, (long)Texts.Sum(text => text.Length)), (manifest.Sources[0].Documents, manifest.Sources[0].Bytes));
        Assert.Equal(manifest.Sources[0].Tokens, data.Train.Count + data.Validation.Count);
        Assert.Equal(Texts.Sum(text => Tokenizers.Get(tokenizer).CountTokens(text) + 1), manifest.Sources[0].Tokens);
        Assert.Equal(bytesPerToken, manifest.BytesPerToken);
        Assert.Equal(layout == TokenLayout.Llmc ? ["train_000000.bin", "val_000000.bin"] : ["train.bin", "val.bin"], Bins(folder.File("out")));
    }

    [Fact]
    public void A_wide_vocabulary_takes_four_bytes_and_begins_documents_with_its_own_mark()
    {
        using var folder = new TemporaryFolder();
        var path = SharedDataPath("tokenizers/llama3/tokenizer.json.gz");
        var manifest = Prepare(folder, "out", Options(WriteText(folder, Texts)) with { Tokenizer = path });
        Assert.Equal((4, 128000), (manifest.BytesPerToken, manifest.DocumentMark));
        using var data = PreparedData.Open(folder.File("out"));
        var first = new long[3];
        data.Train.CopyTo(0, first);
        Assert.Equal([128000, .. data.Tokenizer.Encode(Texts[0])[..2]], first.Select(id => (int)id));
    }

    [Fact]
    public void Any_number_of_threads_writes_the_same_files()
    {
        using var folder = new TemporaryFolder();
        var options = Options(WriteText(folder, Texts)) with { ShardTokens = 1000, ValidationShare = 0.3 };
        var expected = Hashes(folder, options, "one", 1);
        Assert.True(expected.Count > 6);
        Assert.Equal(expected, Hashes(folder, options, "two", 2));
        Assert.Equal(expected, Hashes(folder, options, "five", 5));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void An_interrupted_preparation_goes_on_to_the_same_files(int filesBefore)
    {
        using var folder = new TemporaryFolder();
        var options = Options(WriteText(folder, Texts)) with { ShardTokens = 1000, ValidationShare = 0.3 };
        var expected = Hashes(folder, options, "whole", 2);
        var (whole, path) = (folder.File("whole"), folder.File("broken"));
        InterruptAfter(filesBefore, path, options);
        Assert.False(File.Exists(Path.Combine(path, "manifest.json")));
        var kept = Bins(path).ToDictionary(name => name, name => File.GetLastWriteTimeUtc(Path.Combine(path, name)));
        Assert.InRange(kept.Count, filesBefore, expected.Count - 1);
        var again = new DataPreparation(path, options, 2);
        again.Run(TestContext.Current.CancellationToken);
        Assert.Equal(kept.Count, again.FilesKept);
        Assert.All(kept, file => Assert.Equal(file.Value, File.GetLastWriteTimeUtc(Path.Combine(path, file.Key))));
        Assert.Equal(File.ReadAllText(Path.Combine(whole, "manifest.json")), File.ReadAllText(Path.Combine(path, "manifest.json")));
        Assert.Equal(expected, Contents(path));

        // A third time there is nothing to do.
        var third = new DataPreparation(path, options);
        third.Run(TestContext.Current.CancellationToken);
        Assert.True(third.WasComplete);
    }

    [Fact]
    public void An_interrupted_preparation_refuses_other_inputs_options_and_files()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("out");
        var options = Options(WriteText(folder, Texts)) with { ShardTokens = 1000 };
        InterruptAfter(2, path, options);
        Assert.Contains("shardTokens was 1000 and is 2000", Refused(path, options with { ShardTokens = 2000 }), StringComparison.Ordinal);
        Assert.Contains("another tokenizer", Refused(path, options with { Tokenizer = "byte" }), StringComparison.Ordinal);
        WriteText(folder, [.. Texts.Skip(20)]);
        Assert.Contains("not what they were", Refused(path, options), StringComparison.Ordinal);
        WriteText(folder, [.. Texts.Take(2)]);
        Assert.Contains("not what they were", Refused(path, options), StringComparison.Ordinal);
        WriteText(folder, Texts);
        var file = Path.Combine(path, Bins(path)[0]);
        var bytes = File.ReadAllBytes(file);
        bytes[1500] ^= 1;
        File.WriteAllBytes(file, bytes);
        Assert.Contains(file, Refused(path, options), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_another_process_prepares_is_refused_and_not_deleted()
    {
        using var folder = new TemporaryFolder();
        var options = Options(WriteText(folder, Texts)) with { ShardTokens = 1000 };
        var path = folder.File("out");
        InterruptAfter(1, path, options);
        var before = Directory.GetFiles(path).Order(StringComparer.Ordinal).ToArray();
        using (FolderLock.Take(path, PreparationJournal.LockFile, "held"))
        {
            Assert.Contains("Another process is preparing", Refused(path, options), StringComparison.Ordinal);
            Assert.Contains("Another process is preparing", Assert.Throws<UserErrorException>(() => PreparedData.Delete(path)).Message, StringComparison.Ordinal);
            Assert.Equal(before, Directory.GetFiles(path).Order(StringComparer.Ordinal));
        }

        new DataPreparation(path, options).Run(TestContext.Current.CancellationToken);
    }

    [Fact]
    public void What_a_killed_process_leaves_beside_its_files_is_made_up_for_and_cleared_away()
    {
        using var folder = new TemporaryFolder();
        var options = Options(WriteText(folder, Texts)) with { ShardTokens = 1000 };
        Prepare(folder, "whole", options);
        var expected = AllContents(folder.File("whole"));
        var path = folder.File("broken");
        InterruptAfter(1, path, options);
        // Killed between journal and tokenizer, and while the journal was written anew.
        var leftover = $".preparation.json.{Guid.Empty:N}.tmp";
        File.Delete(Path.Combine(path, TokenizerFiles.FileName));
        File.WriteAllText(Path.Combine(path, leftover), "{");
        Assert.True(PreparedData.IsPrepared(path));
        var journal = File.ReadAllText(Path.Combine(path, PreparationJournal.FileName));
        new DataPreparation(path, options).Run(TestContext.Current.CancellationToken);
        Assert.Equal(expected, AllContents(path));

        // Killed between manifest and the end.
        File.WriteAllText(Path.Combine(path, PreparationJournal.FileName), journal);
        var again = new DataPreparation(path, options);
        again.Run(TestContext.Current.CancellationToken);
        Assert.True(again.WasComplete);
        Assert.Equal(expected, AllContents(path));

        // Killed before there was a journal.
        folder.Write($"early/{leftover}", "{");
        new DataPreparation(folder.File("early"), options).Run(TestContext.Current.CancellationToken);
        Assert.Equal(expected, AllContents(folder.File("early")));
        folder.Write($"forced/{leftover}", "{");
        PreparedData.Delete(folder.File("forced"));
        Assert.False(Directory.Exists(folder.File("forced")));
    }

    [Fact]
    public void A_changed_input_is_noticed_also_where_it_touches_nothing_written()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("out");
        var options = Options(WriteText(folder, Texts)) with { ShardTokens = 1000 };
        InterruptAfter(2, path, options);
        Assert.Empty(Notices(folder.File("unbroken"), options));
        string[] mended = [.. Texts.Take(299), "another end"];
        WriteText(folder, mended);
        var notice = Assert.Single(Notices(path, options));
        Assert.Contains(options.Inputs[0], notice, StringComparison.Ordinal);
        Assert.Contains("2 complete files", notice, StringComparison.Ordinal);
        Prepare(folder, "fresh", options);
        Assert.Equal(AllContents(folder.File("fresh")), AllContents(path));
    }

    [Theory]
    [InlineData(TokenLayout.Llmc)]
    [InlineData(TokenLayout.NanoGpt)]
    public void Text_added_after_the_last_file_was_finished_is_refused(TokenLayout layout)
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("out");
        var options = Options(WriteText(folder, Texts)) with { Layout = layout, ValidationShare = 0 };
        // The manifest cannot be written, so only it is missing.
        InterruptAfter(0, path, options);
        var obstacle = Directory.CreateDirectory(Path.Combine(path, DataManifest.FileName));
        Assert.ThrowsAny<SystemException>(() => new DataPreparation(path, options).Run(TestContext.Current.CancellationToken));
        obstacle.Delete();
        var written = Contents(path);
        Assert.Single(written);
        WriteText(folder, [.. Texts, "one more"]);
        Assert.Contains("not what they were", Refused(path, options), StringComparison.Ordinal);
        Assert.Equal(written, Contents(path));
    }

    [Fact]
    public void A_mistaken_option_may_be_mended_as_long_as_no_file_is_complete()
    {
        using var folder = new TemporaryFolder();
        var options = Options(folder.Write("in.jsonl", string.Concat(Texts.Select(Json))));
        var path = folder.File("out");
        Assert.Contains("300 were skipped (300 no member 'txt')", Refused(path, options with { Field = "txt", Tokenizer = "byte" }), StringComparison.Ordinal);
        new DataPreparation(path, options).Run(TestContext.Current.CancellationToken);
        Prepare(folder, "fresh", options);
        Assert.Equal(AllContents(folder.File("fresh")), AllContents(path));
    }

    [Fact]
    public void An_input_edited_after_the_end_is_noticed_although_its_length_is_the_same()
    {
        using var folder = new TemporaryFolder();
        var options = Options(WriteText(folder, Texts));
        Prepare(folder, "out", options);
        WriteText(folder, [.. Texts.Reverse()]);
        File.SetLastWriteTimeUtc(options.Inputs[0], DateTime.UtcNow.AddMinutes(1));
        Assert.Contains("was written to since", Refused(folder.File("out"), options), StringComparison.Ordinal);
    }

    [Fact]
    public void Duplicates_are_dropped_across_files_and_the_validation_text_is_never_trained_on()
    {
        using var folder = new TemporaryFolder();
        var train = folder.Write("train.jsonl", string.Concat(Texts.Concat(Texts.Take(50)).Select(Json)));
        var held = folder.Write("held.jsonl", string.Concat(Texts.Skip(100).Take(20).Append(Texts[100]).Append("only here").Select(Json)) + "broken\n");
        var manifest = Prepare(folder, "out", Options(train) with { ValidationInputs = [held] });
        Assert.Equal((21L, 1L, 1L), (manifest.Sources[0].Documents, manifest.Sources[0].Duplicates, manifest.Sources[0].Skipped["not valid JSON"]));
        Assert.EndsWith("held.jsonl, line 23: not valid JSON", manifest.Sources[0].SkippedExamples.Single(), StringComparison.Ordinal);
        Assert.Equal((280L, 70L), (manifest.Sources[1].Documents, manifest.Sources[1].Duplicates));
        using var data = PreparedData.Open(folder.File("out"));
        Assert.Empty(Documents(data.Train, data.Tokenizer, TokenLayout.Llmc).Intersect(Documents(data.Validation, data.Tokenizer, TokenLayout.Llmc)));
        var kept = Prepare(folder, "kept", Options(train) with { DropDuplicates = false, ValidationShare = 0.2 });
        Assert.Equal((350L, 0L), (kept.Sources[0].Documents, kept.Sources[0].Duplicates));
        using var all = PreparedData.Open(folder.File("kept"));
        // Equal texts go to the same part even so.
        Assert.Empty(Documents(all.Train, all.Tokenizer, TokenLayout.Llmc).Intersect(Documents(all.Validation, all.Tokenizer, TokenLayout.Llmc)));
    }

    [Fact]
    public async Task All_kinds_of_files_of_a_folder_are_read()
    {
        using var folder = new TemporaryFolder();
        folder.Write("in/a.txt", "a whole file\n\nis a document\n");
        folder.Write("in/deep/b.md", "first\n<|endoftext|>\nsecond");
        folder.Write("in/c.jsonl", Json("from json") + "{}\n");
        folder.Write("in/ignored.csv", "x,y");
        var schema = new ParquetSchema(new DataField<int>("id"), new DataField<string>("text"));
        using (var stream = File.Create(folder.File("in/d.parquet")))
        {
            await using var writer = await ParquetWriter.CreateAsync(schema, stream, cancellationToken: TestContext.Current.CancellationToken);
            foreach (var group in new[] { new[] { "row one", "row two" }, ["", "row three"] })
            {
                using var rows = writer.CreateRowGroup();
                await rows.WriteAsync<int>(schema.DataFields[0], new[] { 1, 2 }, cancellationToken: TestContext.Current.CancellationToken);
                await rows.WriteAsync(schema.DataFields[1], group);
            }
        }

        var manifest = Prepare(folder, "out", Options(folder.File("in")) with { ValidationShare = 0 });
        using var data = PreparedData.Open(folder.File("out"));
        Assert.Equal(
            ["a whole file\n\nis a document\n", "from json", "row one", "row two", "row three", "first", "second"], Documents(data.Train, data.Tokenizer, TokenLayout.Llmc));
        Assert.Equal((4, 7L), (manifest.Sources[0].Files, manifest.Sources[0].Documents));
        Assert.Equal(new Dictionary<string, long> { ["empty text"] = 1, ["no member 'text'"] = 1 }, manifest.Sources[0].Skipped);
        Assert.Contains("no column 'body'; it has id, text", Refused(folder.File("bad"), Options(folder.File("in/d.parquet")) with { Column = "body" }), StringComparison.Ordinal);
        Assert.Contains("holds Int32, not text", Refused(folder.File("bad2"), Options(folder.File("in/d.parquet")) with { Column = "id" }), StringComparison.Ordinal);
        folder.Write("e.parquet", "PAR1 is not enough");
        Assert.Contains("Parquet", Refused(folder.File("bad3"), Options(folder.File("e.parquet"))), StringComparison.Ordinal);
    }

    [Fact]
    public void A_long_text_is_cut_and_the_pieces_can_be_held_out()
    {
        using var folder = new TemporaryFolder();
        var manifest = Prepare(folder, "out", Options(folder.Write("a.txt", string.Join('\n', Texts))) with { LongestDocument = 1000, ValidationShare = 0.3, Tokenizer = "byte" });
        Assert.True(manifest.Validation.Documents > 0);
        Assert.Equal(manifest.Sources[0].Documents, manifest.Sources[0].Cut);
        Assert.Equal(string.Join('\n', Texts).Length, manifest.Train.Bytes + manifest.Validation.Bytes);
    }

    [Fact]
    public void Mistakes_are_told_before_anything_is_written()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("does not exist", Refused(folder.File("out"), Options(folder.File("nowhere"))), StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder.File("out")));
        var text = WriteText(folder, Texts);
        Assert.Contains("validationShare", Refused(folder.File("out"), Options(text) with { ValidationShare = 1 }), StringComparison.Ordinal);
        Assert.Contains("shardTokens", Refused(folder.File("out"), Options(text) with { ShardTokens = 2_000_000_000 }), StringComparison.Ordinal);
        folder.Write("full/precious.txt", "mine");
        Assert.Contains("is not empty", Refused(folder.File("full"), Options(text)), StringComparison.Ordinal);
    }

    internal static PreparationOptions Options(string input) => new() { Inputs = [input], Tokenizer = "gpt2", ValidationShare = 0.1 };

    internal static string WriteText(TemporaryFolder folder, string[] texts) =>
        folder.Write("corpus.txt", string.Concat(texts.Select(text => text + "\n<|endoftext|>\n")));

    private static string SharedDataPath(string relative) => SharedData.PathOrSkip(relative);

    private static DataManifest Prepare(TemporaryFolder folder, string name, PreparationOptions options, int threads = 2) =>
        new DataPreparation(folder.File(name), options, threads).Run(TestContext.Current.CancellationToken);

    private static string Refused(string path, PreparationOptions options) =>
        Assert.Throws<UserErrorException>(() => new DataPreparation(path, options, 2).Run(TestContext.Current.CancellationToken)).Message;

    private static string Json(string text) => System.Text.Json.JsonSerializer.Serialize(new { text }) + "\n";

    private static string[] Bins(string folder) => [.. Directory.GetFiles(folder, "*.bin").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private static SortedDictionary<string, string> Hashes(TemporaryFolder folder, PreparationOptions options, string name, int threads)
    {
        Prepare(folder, name, options, threads);
        return Contents(folder.File(name));
    }

    private static SortedDictionary<string, string> Contents(string folder) =>
        new(Bins(folder).ToDictionary(name => name, name => Convert.ToBase64String(File.ReadAllBytes(Path.Combine(folder, name)))), StringComparer.Ordinal);

    private static SortedDictionary<string, string> AllContents(string folder) => new(
        Directory.GetFiles(folder).ToDictionary(path => Path.GetFileName(path), path => Convert.ToBase64String(File.ReadAllBytes(path))), StringComparer.Ordinal);

    private static List<string> Notices(string path, PreparationOptions options)
    {
        var notices = new List<string>();
        new DataPreparation(path, options, notice: notices.Add).Run(TestContext.Current.CancellationToken);
        return notices;
    }

    /// <summary>Makes a preparation fail after so many training files: the next one cannot be created.</summary>
    private static void InterruptAfter(int files, string path, PreparationOptions options)
    {
        var whole = File.ReadAllBytes(options.Inputs[0]);
        File.WriteAllBytes(options.Inputs[0], [0xff]);
        Assert.Throws<UserErrorException>(() => new DataPreparation(path, options, 2).Run(TestContext.Current.CancellationToken));
        File.WriteAllBytes(options.Inputs[0], whole);
        var obstacle = Directory.CreateDirectory(Path.Combine(path, options.Layout == TokenLayout.NanoGpt ? ".train.bin.tmp" : $".train_{files:D6}.bin.tmp"));
        Assert.ThrowsAny<SystemException>(() => new DataPreparation(path, options, 2).Run(TestContext.Current.CancellationToken));
        obstacle.Delete();
        Assert.Equal(files, Bins(path).Count(name => name.StartsWith("train", StringComparison.Ordinal)));
    }

    private static List<string> Documents(TokenShards part, ITokenizer tokenizer, TokenLayout layout)
    {
        var ids = new long[part.Count];
        part.CopyTo(0, ids);
        var documents = new List<string>();
        var current = new List<int>();
        foreach (var id in ids)
        {
            if (id != tokenizer.EndOfTextId)
            {
                current.Add((int)id);
            }
            else if (layout == TokenLayout.NanoGpt || current.Count > 0)
            {
                documents.Add(tokenizer.Decode([.. current]));
                current.Clear();
            }
        }

        return layout == TokenLayout.Llmc ? [.. documents, tokenizer.Decode([.. current])] : documents;
    }
}
