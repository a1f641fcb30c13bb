using System.CommandLine;
using CoFrGeNet.Generation;
using CoFrGeNet.Inference;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;

namespace CoFrGeNet.Cli;

/// <summary>--engine, --device and --threads: what computes, for verbs that know a model as <see cref="ILanguageModel"/> only.</summary>
internal sealed class EngineOptions
{
    private const string Managed = "managed";
    private const string Torch = "torch";

    private readonly Option<string> _engine;
    private readonly TorchOptions _torch = new();

    /// <summary>Creates the options.</summary>
    /// <param name="isManaged">Whether the managed engine is the default; otherwise torch is.</param>
    public EngineOptions(bool isManaged) => _engine = new("--engine")
    {
        Description = "What computes: managed (no native library; CPU) or torch",
        HelpName = "ENGINE",
        DefaultValueFactory = _ => isManaged ? Managed : Torch,
    };

    /// <summary>All options.</summary>
    public IEnumerable<Option> Options => [_engine, .. _torch.Options];

    /// <summary>Whether the managed engine computes.</summary>
    /// <param name="arguments">The parsed command line.</param>
    /// <exception cref="UserErrorException">There is no such engine, or it does not compute on the device given.</exception>
    public bool IsManaged(ParseResult arguments)
    {
        var engine = arguments.GetValue(_engine);
        if (engine is not (Managed or Torch))
        {
            throw new UserErrorException($"--engine is '{engine}'; allowed are {Managed} and {Torch}.");
        }

        return engine == Torch ? false
            : _torch.DeviceName(arguments) is "cpu" ? true
            : throw new UserErrorException($"--device is '{_torch.DeviceName(arguments)}', and the managed engine computes on the CPU only; add --engine {Torch}.");
    }

    /// <summary>Loads a model folder and hands it out.</summary>
    /// <typeparam name="T">What the work gives.</typeparam>
    /// <param name="arguments">The parsed command line.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="work">What is done with the model, which is gone afterwards.</param>
    /// <exception cref="UserErrorException">An option is wrong, or the folder is no model folder.</exception>
    public T With<T>(ParseResult arguments, string folder, Func<ILanguageModel, ITokenizer, T> work)
    {
        if (IsManaged(arguments))
        {
            using var managed = TextModel.Load(folder, new InferenceOptions { Threads = _torch.ThreadCount(arguments) });
            return work(managed.Model, managed.Tokenizer);
        }

        // Before libtorch is loaded, which takes a second: the folder may be the wrong one.
        ModelFolder.ReadConfig(folder);
        var (model, tokenizer) = ModelFolder.Load(folder, _torch.Start(arguments));
        using (model)
        {
            return work(new TorchLanguageModel(model), tokenizer);
        }
    }
}
