using CoFrGeNet.Configuration;
using CoFrGeNet.Inference;
using CoFrGeNet.Interop;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;

namespace CoFrGeNet.Server.Tests;

/// <summary>Model folders as the server offers them with the managed engine.</summary>
internal static class EngineServer
{
    /// <summary>A real trained model of 260,000 parameters (llama2.c's stories260K), or a skip.</summary>
    public static string Stories(TemporaryFolder folder)
    {
        var source = SharedData.PathOrSkip("checkpoints/stories260K");
        var target = folder.File("stories");
        using (var input = ModelInput.Open(Path.Combine(source, "hf"), new InputOptions()))
        {
            ModelOutput.Write(input, target, new OutputOptions());
        }

        if (!File.Exists(Path.Combine(target, TokenizerFiles.FileName)))
        {
            TokenizerFiles.Save(target, Tokenizers.Get(Path.Combine(source, "tok512.bin")));
        }

        return target;
    }

    /// <summary>Loads a model folder.</summary>
    public static (ServedModel Served, InferenceModel Model) Load(string folder, string name = "fake")
    {
        var config = ModelFolderConfig.Read(folder);
        var model = InferenceModel.Load(folder);
        return (new ServedModel { Name = name, Model = model, Tokenizer = TokenizerFiles.Load(folder, config), Parameters = Accounting.ParameterCount.Of(config.Model).Total }, model);
    }
}
