using System.CommandLine;

namespace CoFrGeNet.Cli;

/// <summary>data: the verbs that turn text into what training reads.</summary>
internal sealed class DataVerb : Command
{
    /// <summary>Creates the group.</summary>
    /// <param name="console">Where its verbs write.</param>
    public DataVerb(ToolConsole console)
        : base("data", "Prepare text for training: tokenize it into files, train a tokenizer")
    {
        Add(new DataPrepareVerb(console));
        Add(new DataTrainTokenizerVerb(console));
    }
}
