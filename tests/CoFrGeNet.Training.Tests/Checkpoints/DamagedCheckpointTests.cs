using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Tests;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Training.Tests.Checkpoints;

/// <summary>Every way to be damaged: the checkpoint is passed over with the file and the reason, and nothing of it is loaded.</summary>
public sealed class DamagedCheckpointTests : IDisposable
{
    private const string Weights = "model.safetensors";
    private const string Moments = "optimizer.safetensors";
    private const string State = "state.json";
    private const string Marker = "DONE";

    private static readonly Dictionary<string, (string File, string Reason, Action<string> Damage)> All = new()
    {
        ["weights cut at the end"] = (Weights, "bytes instead of", folder => Cut(folder, Weights, bytes => bytes[..^1])),
        ["weights cut in the header"] = (Weights, "bytes instead of", folder => Cut(folder, Weights, bytes => bytes[..100])),
        ["weights empty"] = (Weights, "has 0 bytes", folder => Cut(folder, Weights, _ => [])),
        ["weights longer"] = (Weights, "bytes instead of", folder => Cut(folder, Weights, bytes => [.. bytes, 0])),
        ["weights gone"] = (Weights, "is missing", folder => File.Delete(Path.Combine(folder, Weights))),
        ["weights with a bit turned"] = (Weights, "checksum", folder => Flip(folder, Weights, bytes => bytes.Length - 3)),
        ["weights with a bit of the header turned"] = (Weights, "checksum", folder => Flip(folder, Weights, _ => 40)),
        ["optimizer cut"] = (Moments, "bytes instead of", folder => Cut(folder, Moments, bytes => bytes[..(bytes.Length / 2)])),
        ["optimizer gone"] = (Moments, "is missing", folder => File.Delete(Path.Combine(folder, Moments))),
        ["optimizer with a bit turned"] = (Moments, "checksum", folder => Flip(folder, Moments, bytes => bytes.Length / 2)),
        ["state cut"] = (State, "bytes instead of", folder => Cut(folder, State, bytes => bytes[..^5])),
        ["state gone"] = (State, "is missing", folder => File.Delete(Path.Combine(folder, State))),
        ["state with a digit changed"] = (State, "checksum", folder => Cut(folder, State, bytes => Replace(bytes, "\"tokens\": 2", "\"tokens\": 3"))),
        ["marker gone"] = (Marker, "was never finished", folder => File.Delete(Path.Combine(folder, Marker))),
        ["marker empty"] = (Marker, "not valid JSON", folder => Cut(folder, Marker, _ => [])),
        ["marker cut"] = (Marker, "not valid JSON", folder => Cut(folder, Marker, bytes => bytes[..^9])),
        ["marker of another kind"] = (Marker, "missing", folder => Cut(folder, Marker, _ => [.. "{}"u8])),
        ["marker that leaves a file out"] = (Marker, "does not list optimizer.safetensors", folder => Cut(folder, Marker, bytes => Replace(bytes, Moments, "else.safetensors"))),
        ["marker with another checksum"] = (Weights, "checksum", folder => Seal(folder, files => files[0]!["sha256"] = new string('0', 64))),
        ["weights of another type"] = (Weights, "is F16; a checkpoint holds F32", folder => Rewrite(folder, Weights, AsHalf)),
        ["weights of another shape"] = (Weights, "has shape [16, 257]", folder => Rewrite(folder, Weights, (tensor, bytes) =>
            [tensor.Name == "token_embedding" ? TensorEntry.FromBytes(tensor.Name, tensor.DType, [16, 257], bytes) : Same(tensor, bytes)])),
        ["weights with a tensor less"] = (Weights, "has no tensor 'token_embedding'", folder => Rewrite(folder, Weights, (tensor, bytes) =>
            tensor.Name == "token_embedding" ? [] : [Same(tensor, bytes)])),
        ["weights with a tensor more"] = (Weights, "holds a tensor 'token_embedding_2'", folder => Rewrite(folder, Weights, (tensor, bytes) =>
            tensor.Name == "token_embedding" ? [Same(tensor, bytes), Same(tensor with { Name = "token_embedding_2" }, bytes)] : [Same(tensor, bytes)])),
        ["moments of another type"] = (Moments, "is F16; a checkpoint holds F32", folder => Rewrite(folder, Moments, AsHalf)),
        ["moments of another parameter"] = (Moments, "has no tensor 'mean.token_embedding'", folder => Rewrite(folder, Moments, (tensor, bytes) =>
            [Same(tensor with { Name = tensor.Name.Replace("token_embedding", "other", StringComparison.Ordinal) }, bytes)])),
        ["weights that are no tensors"] = (Weights, "header", folder => Sealed(folder, () => Cut(folder, Weights, _ => [.. Enumerable.Repeat((byte)'x', 4096)]))),
        ["state of another model"] = (State, "another configuration", folder => Sealed(folder, () => Cut(folder, State, bytes => Replace(bytes, "\"gate\": \"silu\"", "\"gate\": \"sigmoid\"")))),
        ["state of another step"] = (State, "is of step 3", folder => Sealed(folder, () => Cut(folder, State, bytes => Replace(bytes, "\"step\": 4", "\"step\": 3")))),
        ["state with a foreign parameter"] = (State, "names a parameter 'no_such_parameter'", folder => Sealed(folder, () => Cut(folder, State, bytes => Replace(bytes, "\"token_embedding\"", "\"no_such_parameter\"")))),
        ["state with an unknown member"] = (State, "has no member 'stepz'", folder => Sealed(folder, () => Cut(folder, State, bytes => Replace(bytes, "\"step\":", "\"stepz\":")))),
        ["state that is no JSON"] = (State, "not valid JSON", folder => Sealed(folder, () => Cut(folder, State, bytes => bytes[..^5]))),
    };

    private readonly TemporaryFolder _folder = new();
    private readonly RunConfig _config = TrainingSamples.Run("f", training => training with { CheckpointEvery = 2, KeepCheckpoints = 5 });
    private readonly RunFolder _run;

    public DamagedCheckpointTests()
    {
        _run = TrainingSamples.Folder(_folder, _config);
        using var trainer = new Trainer(_config, TrainingSamples.Text, _run);
        trainer.Train(until: 4);
    }

    public static TheoryData<string> Damages => [.. All.Keys];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Damages))]
    public void It_is_passed_over_with_the_reason_and_nothing_is_loaded_half(string damage)
    {
        var (file, reason, apply) = All[damage];
        var newest = Path.Combine(_run.FullPath, "checkpoints", "step-00000004");
        apply(newest);
        var observer = new RecordingObserver();
        using (var trainer = new Trainer(_config, TrainingSamples.Text, _run, observer))
        {
            Assert.True(trainer.Resume());
            Assert.Equal(2, trainer.Step);
        }

        var message = observer.Messages[0].Text;
        Assert.StartsWith("checkpoint step-00000004 skipped: ", message, StringComparison.Ordinal);
        Assert.Contains(Path.Combine(newest, file), message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
        Assert.Equal("resumed at step 2", observer.Messages[1].Text);

        // Alone it is refused, and a model and an optimizer in use keep every bit.
        Directory.Delete(Path.Combine(_run.FullPath, "checkpoints", "step-00000002"), recursive: true);
        AssertUnchanged(load => Assert.Contains(reason, Assert.Throws<UserErrorException>(load).Message, StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_that_does_not_belong_there_harms_nothing()
    {
        File.WriteAllText(Path.Combine(_run.Checkpoints.Finished[0], "notes.txt"), "keep me");
        using var trainer = new Trainer(_config, TrainingSamples.Text, _run);
        Assert.True(trainer.Resume());
        Assert.Equal(4, trainer.Step);
    }

    [Fact]
    public void Another_text_or_another_tokenizer_is_refused_before_anything_is_loaded()
    {
        var observer = new RecordingObserver();
        using var trainer = new Trainer(_config, TrainingSamples.Data(string.Concat(Enumerable.Repeat("another text altogether. ", 40))), _run, observer);
        var before = TrainingSamples.Weights(trainer.Model);
        Assert.Contains("is not the one that the run in", Assert.Throws<UserErrorException>(() => trainer.Resume()).Message, StringComparison.Ordinal);
        TrainingSamples.AssertSameWeights(before, TrainingSamples.Weights(trainer.Model));
        Assert.Equal(0, trainer.Step);
    }

    private void AssertUnchanged(Action<Action> load)
    {
        using var other = new Trainer(_config with { Training = _config.Training with { Seed = 9 } }, TrainingSamples.Text);
        other.Train(until: 1);
        var groups = ComponentGroup.Of(other.Model);
        using var optimizer = new AdamW(groups, _config.Training);
        foreach (var (_, parameter) in groups.SelectMany(group => group.Parameters))
        {
            parameter.grad = TorchSharp.torch.ones_like(parameter);
        }

        optimizer.Step(0.1);
        var (weights, moments) = (TrainingSamples.Weights(other.Model), OptimizerBytes(optimizer));
        load(() => _run.Checkpoints.LoadNewest(other.Model, optimizer, _ => { }));
        TrainingSamples.AssertSameWeights(weights, TrainingSamples.Weights(other.Model));
        TrainingSamples.AssertSameWeights(moments, OptimizerBytes(optimizer));
    }

    private static Dictionary<string, byte[]> OptimizerBytes(AdamW optimizer) => optimizer.State.ToDictionary(
        entry => entry.Name, entry => (byte[])[.. entry.Mean.bytes, .. entry.Square.bytes, .. BitConverter.GetBytes(entry.Steps)]);

    private static void Cut(string folder, string file, Func<byte[], byte[]> change)
    {
        var path = Path.Combine(folder, file);
        File.WriteAllBytes(path, change(File.ReadAllBytes(path)));
    }

    private static void Flip(string folder, string file, Func<byte[], int> place) => Cut(folder, file, bytes =>
    {
        bytes[place(bytes)] ^= 4;
        return bytes;
    });

    private static byte[] Replace(byte[] content, string old, string changed)
    {
        var text = System.Text.Encoding.UTF8.GetString(content);
        Assert.Contains(old, text, StringComparison.Ordinal);
        return System.Text.Encoding.UTF8.GetBytes(text.Replace(old, changed, StringComparison.Ordinal));
    }

    private static TensorEntry Same(TensorInfo tensor, byte[] bytes) => TensorEntry.FromBytes(tensor.Name, tensor.DType, tensor.Shape, bytes);

    private static IEnumerable<TensorEntry> AsHalf(TensorInfo tensor, byte[] bytes)
    {
        var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray().SelectMany(value => BitConverter.GetBytes((Half)value));
        return [TensorEntry.FromBytes(tensor.Name, TensorDType.F16, tensor.Shape, values.ToArray())];
    }

    // A valid file with other tensors, and a marker that agrees with it.
    private static void Rewrite(string folder, string file, Func<TensorInfo, byte[], IEnumerable<TensorEntry>> change) => Sealed(folder, () =>
    {
        var path = Path.Combine(folder, file);
        var entries = new List<TensorEntry>();
        using (var old = SafeTensorsFile.Open(path))
        {
            foreach (var tensor in old.Tensors)
            {
                var bytes = new byte[tensor.ByteLength];
                old.Read(tensor.Name, bytes);
                entries.AddRange(change(tensor, bytes));
            }
        }

        SafeTensorsWriter.Write(path, entries);
    });

    private static void Sealed(string folder, Action change)
    {
        change();
        Seal(folder, files =>
        {
            foreach (var file in files)
            {
                var bytes = File.ReadAllBytes(Path.Combine(folder, (string)file!["name"]!));
                file["bytes"] = bytes.Length;
                file["sha256"] = Convert.ToHexStringLower(SHA256.HashData(bytes));
            }
        });
    }

    private static void Seal(string folder, Action<JsonArray> change)
    {
        var path = Path.Combine(folder, Marker);
        var manifest = JsonNode.Parse(File.ReadAllText(path))!;
        change(manifest["files"]!.AsArray());
        File.WriteAllText(path, manifest.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
    }
}
