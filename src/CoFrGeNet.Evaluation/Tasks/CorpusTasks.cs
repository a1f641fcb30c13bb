namespace CoFrGeNet.Evaluation;

/// <summary>The corpora of the paper's perplexity tables. Which protocol the paper used is not printed; ours is in each task's protocol line.</summary>
internal static class CorpusTasks
{
    private static readonly CorpusProtocol Wiki = new() { Detokenize = true, CountLineEnds = true };

    /// <summary>All of them.</summary>
    public static IReadOnlyList<EvaluationTask> All { get; } =
    [
        new CorpusTask("ptb", Data("ptb-text-only/ptb_text_only", "penn_treebank", "sentence", "ptb"), "sentence", new CorpusProtocol { CountLineEnds = true, TrimLines = true }),
        new CorpusTask("wikitext2", Data("Salesforce/wikitext", "wikitext-2-raw-v1", "text", "wikitext2", "wikitext"), "text", Wiki),
        new CorpusTask("wikitext103", Data("Salesforce/wikitext", "wikitext-103-raw-v1", "text", "wikitext103"), "text", Wiki),
        new CorpusTask("lambada", Data("EleutherAI/lambada_openai", "default", "text", "lambada", "lambada_openai"), "text", new CorpusProtocol { Unit = CorpusUnit.LastWord }),
        new CorpusTask("agnews", Data("fancyzhx/ag_news", "default", "text", "agnews", "ag_news"), "text", new CorpusProtocol { Unit = CorpusUnit.Record }),
        new CorpusTask("lm1b", Data(string.Empty, "default", "text", "lm1b"), "text", new CorpusProtocol { Unit = CorpusUnit.Record }),
    ];

    private static DatasetReference Data(string repository, string configuration, string field, params string[] folders) =>
        new(repository, configuration, "test", "train", folders) { Fields = [field] };
}
