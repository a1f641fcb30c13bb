using System.Globalization;
using CoFrGeNet.Configuration;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Interop;

/// <summary>
/// Checkpoints of the public re-implementation of CoFrGeNet-F (PAPER section 4): elementwise ladders on a sigmoid gate, U on the ungated
/// input, GPT-2's attention without biases, norms without biases. Read only.
/// </summary>
internal static class PublicReimplementation
{
    private const string Anchor = "blocks.0.ffn.ladder_weights.0";
    private const string Embedding = "tok_emb.weight";

    /// <summary>The guard's epsilon where no configuration says otherwise.</summary>
    public const double DefaultEpsilon = 0.01;

    /// <summary>Whether the names are those of such a checkpoint.</summary>
    /// <param name="names">Names without prefixes.</param>
    public static string? FindAnchor(IEnumerable<string> names) => names.FirstOrDefault(name => name.EndsWith(Anchor, StringComparison.Ordinal))?[..^Anchor.Length];

    /// <summary>Reads the shape of the model from its tensors; the number of heads stands in no tensor.</summary>
    /// <param name="source">The tensors, named without prefix.</param>
    /// <param name="heads">Number of heads.</param>
    /// <param name="epsilon">The guard's epsilon.</param>
    public static ModelConfig Read(TensorSource source, int heads, double epsilon)
    {
        var embedding = Shape(source, source.TryGet(Embedding, out _) ? Embedding : ForeignArchitecture.Head, 2);
        var ladder = Shape(source, Anchor, 2);
        var count = Enumerable.Range(0, int.MaxValue).First(j => !source.TryGet(Ladder(0, j), out _));
        var layers = Enumerable.Range(0, int.MaxValue).First(i => !source.TryGet(Ladder(i, 0), out _));
        return new ModelConfig
        {
            VocabularySize = embedding[0],
            ContextLength = Shape(source, "pos_emb.weight", 2)[0],
            Width = embedding[1],
            TiedHead = true,
            Blocks =
            [
                new()
                {
                    Repeat = layers,
                    Mixer = new AttentionConfig { Heads = heads, Bias = source.TryGet("blocks.0.attn.qkv.bias", out _) },
                    FeedForward = new CffnConfig
                    {
                        Gate = GateKind.Sigmoid,
                        LinearOnGated = false,
                        Ladders = new()
                        {
                            Count = count,
                            Depth = ladder[1],
                            Kind = LadderKind.Elementwise,
                            Guard = new ClampGuard { Epsilon = epsilon },
                            WeightStd = 0.02,
                            OutputStd = 0.02,
                            ClipToTrainedRange = false,
                        },
                    },
                },
            ],
        }.Validate();
    }

    /// <summary>How our tensors are made of theirs.</summary>
    /// <param name="model">What <see cref="Read"/> returned.</param>
    /// <param name="source">The tensors, named without prefix.</param>
    public static IReadOnlyList<TensorRule> Rules(ModelConfig model, TensorSource source)
    {
        long p = model.Width;
        var block = model.Layers.First();
        var ladders = ((CffnConfig)block.FeedForward).Ladders;
        var hasBias = ((AttentionConfig)block.Mixer).Bias;
        // save_model keeps one name of two for a tied matrix.
        var embedding = source.TryGet(Embedding, out _) ? Embedding : ForeignArchitecture.Head;
        List<TensorRule> rules =
        [
            TensorRule.Same("token_embedding", embedding, model.VocabularySize, p),
            TensorRule.Same("position_embedding", "pos_emb.weight", model.ContextLength, p),
        ];
        for (var i = 0; i < model.LayerCount; i++)
        {
            string ours = $"blocks.{i}.", theirs = $"blocks.{i}.";
            Norm(ours + "mixer_norm", theirs + "ln1");
            Linear(ours + "mixer.qkv", theirs + "attn.qkv", 3 * p);
            Linear(ours + "mixer.output", theirs + "attn.out_proj", p);
            Norm(ours + "feed_forward_norm", theirs + "ln2");
            rules.Add(TensorRule.Same(ours + "feed_forward.gate.weight", theirs + "ffn.gate_proj.weight", p, p));
            rules.Add(TensorRule.Same(ours + "feed_forward.linear.weight", theirs + "ffn.U.weight", p, p));
            // Level k of all ladders is one tensor here; there each ladder is one, with a column for each level.
            for (var k = 0; k < ladders.Depth; k++)
            {
                var layer = i;
                var level = k;
                rules.Add(new TensorRule(ours + $"feed_forward.ladders.levels.{k}", [ladders.Count, p],
                    [.. Enumerable.Range(0, ladders.Count).Select(j => new TensorPart(Ladder(layer, j), [p, ladders.Depth], StridedView.Column(p, ladders.Depth, level)))]));
            }

            rules.Add(TensorRule.Transposed(ours + "feed_forward.combine.weight", theirs + "ffn.V", ladders.Count, p));
        }

        Norm("final_norm", "ln_f");
        return rules;

        void Norm(string name, string from)
        {
            rules.Add(TensorRule.Same(name + ".weight", from + ".weight", p));
            rules.Add(source.TryGet(from + ".bias", out _) ? TensorRule.Same(name + ".bias", from + ".bias", p) : new TensorRule(name + ".bias", [p], []));
        }

        void Linear(string name, string from, long outputs)
        {
            rules.Add(TensorRule.Same(name + ".weight", from + ".weight", outputs, p));
            if (hasBias)
            {
                rules.Add(TensorRule.Same(name + ".bias", from + ".bias", outputs));
            }
        }
    }

    private static string Ladder(int layer, int ladder) => string.Create(CultureInfo.InvariantCulture, $"blocks.{layer}.ffn.ladder_weights.{ladder}");

    private static int[] Shape(TensorSource source, string name, int rank)
    {
        if (!source.TryGet(name, out var info) || info.Shape.Length != rank || info.Shape.Any(extent => extent is < 1 or > int.MaxValue))
        {
            throw new UserErrorException($"{source.Path}: a checkpoint of the public re-implementation has a matrix '{name}'; this file has {(info is null ? "none" : $"one of shape [{string.Join(", ", info.Shape)}]")}.");
        }

        return [.. info.Shape.Select(extent => (int)extent)];
    }
}
