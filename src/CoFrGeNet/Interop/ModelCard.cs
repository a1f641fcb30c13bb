using System.Globalization;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Interop;

/// <summary>The README.md of a folder for the Hugging Face hub.</summary>
internal static class ModelCard
{
    /// <summary>Writes the card's text.</summary>
    /// <param name="model">The model.</param>
    /// <param name="architecture">The value of model_type.</param>
    /// <param name="origin">What the model was converted from.</param>
    public static string Of(ModelConfig model, string architecture, string origin)
    {
        var count = ParameterCount.Of(model);
        var block = model.Layers.First();
        var isOwn = architecture == ModelFolderConfig.CoFrGeNetType;
        var load = isOwn ? "AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)" : "AutoModelForCausalLM.from_pretrained(FOLDER)";
        var standalone = isOwn
            ? """

              Without transformers, PyTorch alone is enough; run it in this folder:

              ```python
              import torch, modeling_cofrgenet
              model = modeling_cofrgenet.load(".")
              logits = model.logits(torch.tensor([[1, 2, 3]]))
              ```

              `modeling_cofrgenet.py` computes whole sequences and has no key-value cache. In training mode it widens the ranges that the ladders' outputs are
              clipped to in evaluation mode.

              """
            : string.Empty;
        return string.Create(CultureInfo.InvariantCulture, $"""
            ---
            library_name: transformers
            pipeline_tag: text-generation
            tags:
            - {architecture}
            - text-generation
            ---

            # {(isOwn ? "A CoFrGeNet language model" : "A language model")}

            {(isOwn ? "A decoder whose layers may be continued fractions (CoFrGeNet, arXiv 2601.21766)." : $"A decoder of the {architecture} architecture.")} Converted by `cofrgenet convert` of CoFrGeNet.NET from: {origin}.

            | | |
            | --- | --- |
            | parameters | {count.Total:N0}, {count.BlockParameters:N0} of them in {model.LayerCount} blocks |
            | width, context, vocabulary | {model.Width}, {model.ContextLength}, {model.VocabularySize} |
            | first block | {Kind(block.Mixer)} and {Kind(block.FeedForward)} |

            What it was trained on, how well it does and what it must not be used for stand with those who trained it.

            ## Use

            ```python
            from transformers import AutoModelForCausalLM
            model = {load}
            ```
            {standalone}
            """).ReplaceLineEndings("\n");
    }

    private static string Kind(object part) => part switch
    {
        SparseAttentionConfig => "sparse attention",
        AttentionConfig => "attention",
        SynthesizerConfig => "the dense Synthesizer",
        CAttnMConfig => "CAttnM",
        CAttnUConfig => "CAttnU",
        MlpConfig => "an MLP",
        SwiGluConfig => "SwiGLU",
        CffnConfig => "Cffn",
        _ => "a gated linear map",
    };
}
