using System.Numerics.Tensors;
using System.Text.Json;
using CoFrGeNet.Interop;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Inference.Tests;

/// <summary>A real trained model (llama2.c's stories260K), whose greedy continuation another program wrote down.</summary>
public sealed class StoriesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_expected_story_is_told()
    {
        var source = SharedData.PathOrSkip("checkpoints/stories260K");
        var folder = _folder.File("stories");
        using (var input = ModelInput.Open(Path.Combine(source, "hf"), new InputOptions()))
        {
            ModelOutput.Write(input, folder, new OutputOptions());
        }

        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(source, "hf", "expected_greedy.json")));
        int[] expected = [.. document.RootElement.GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32())];
        using var model = InferenceModel.Load(folder);
        using var session = model.StartSession();
        var told = new List<int> { 1 };
        while (told.Count < expected.Length)
        {
            told.Add(TensorPrimitives.IndexOfMax(session.Append([told[^1]])));
        }

        Assert.Equal(expected, told);
    }
}
