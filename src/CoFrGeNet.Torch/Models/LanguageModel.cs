using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Native;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A decoder-only language model, GPT-2 or Llama in style, whose blocks hold whatever mixers and feed-forwards the configuration names.
/// </summary>
/// <remarks>Letters: B batch, T tokens, p width, V vocabulary. Not thread-safe while training; forward passes without gradient may run in parallel.</remarks>
public sealed class LanguageModel : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "token_embedding")]
    private readonly Parameter _tokenEmbedding;

    [ComponentName(Name = "position_embedding")]
    private readonly Parameter? _positionEmbedding;

    [ComponentName(Name = "blocks")]
    private readonly ModuleList<Block> _blocks;

    [ComponentName(Name = "final_norm")]
    private readonly nn.Module<Tensor, Tensor> _finalNorm;

    [ComponentName(Name = "head")]
    private readonly Linear? _head;

    private readonly HeadLoss _headLoss = new();
    private ScalarType _computeType = ScalarType.Float32;

    /// <summary>Builds a model with freshly drawn parameters.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="device">Where it lives; null: the CPU. The meta device gives shapes without memory.</param>
    /// <exception cref="UserErrorException">The configuration is not valid.</exception>
    public LanguageModel(ModelConfig config, Device? device = null)
        : base(nameof(LanguageModel))
    {
        Config = config.Validate();
        var options = Options(config, device);
        _tokenEmbedding = new Parameter(options.Normal(config.InitialStd, config.VocabularySize, config.Width));
        _positionEmbedding = config.LearnedPositions
            ? new Parameter(options.Normal(config.InitialStd, config.ContextLength, config.Width))
            : null;
        _blocks = new ModuleList<Block>([.. config.Layers.Select(block => new Block(config, block, options))]);
        _finalNorm = ModuleFactory.Norm(config.Norm, config.Width, options);
        // Tied by use: a head that shared the embedding's parameter would be listed, counted and optimised twice.
        _head = config.TiedHead ? null : new Linear(config.Width, config.VocabularySize, bias: false, config.InitialStd, options);
        RegisterComponents();
    }

    /// <summary>Its shape; follows replacements.</summary>
    public ModelConfig Config { get; internal set; }

    /// <summary>The blocks from input to output.</summary>
    public IReadOnlyList<Block> Blocks => [.. _blocks];

    /// <summary>Where the parameters live.</summary>
    public Device Device => _tokenEmbedding.device;

    /// <summary>
    /// The type of matrix products: float32, or bfloat16 with float32 master weights. Norms, ladders and the loss stay in float32;
    /// logits are handed out in float32 after a product in this type.
    /// </summary>
    public ScalarType ComputeType
    {
        get => _computeType;
        set
        {
            _computeType = value;
            foreach (var module in modules())
            {
                switch (module)
                {
                    case Linear { IsExact: false } linear:
                        linear.ComputeType = value;
                        break;
                    case CAttnU mixer:
                        mixer.ComputeType = value;
                        break;
                }
            }
        }
    }

    /// <summary>
    /// Whether a training step keeps only the blocks' inputs and computes each block again in the backward pass: less memory, about a third
    /// more work, the same gradients bit by bit. Gradients of parameters are then taken by <c>backward</c> alone, not by <c>autograd.grad</c>.
    /// </summary>
    public bool CheckpointBlocks { get; set; }

    /// <summary>
    /// Hears in the backward pass of <see cref="Loss"/> how far it has come: the gradients of block i and of all that follows it are complete when it is called with
    /// i, those of the final norm and of an untied head when it is called with the number of blocks. Embeddings are complete at the end alone. It must not throw.
    /// </summary>
    public Action<int>? LayerDone { get; set; }

    /// <summary>Logits of every position.</summary>
    /// <param name="tokens">int64 [B, T].</param>
    /// <returns>float32 [B, T, V].</returns>
    public override Tensor forward(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        return Logits(Hidden(tokens)).MoveToOuterDisposeScope();
    }

    /// <summary>The final norm's output at every position.</summary>
    /// <param name="tokens">int64 [B, t].</param>
    /// <param name="caches">One cache a layer that holds the tokens before, or null.</param>
    /// <returns>[B, t, p].</returns>
    /// <exception cref="UserErrorException">More tokens than the context length.</exception>
    public Tensor Hidden(Tensor tokens, IReadOnlyList<MixerCache>? caches = null)
    {
        var offset = caches?[0].Length ?? 0;
        var length = tokens.shape[1];
        if (offset + length > Config.ContextLength)
        {
            throw new UserErrorException(
                $"The sequence has {offset + length} tokens; this model's context length is {Config.ContextLength}. Shorten the prompt or ask for fewer new tokens.");
        }

        using var scope = NewDisposeScope();
        var x = EmbeddingNode.Rows(_tokenEmbedding, tokens.flatten()).view(tokens.shape[0], length, Config.Width);
        if (_positionEmbedding is not null)
        {
            x = x.Plus(_positionEmbedding.narrow(0, offset, length));
        }

        var layer = 0;
        foreach (var block in _blocks)
        {
            x = Mark(x, layer);
            x = CheckpointBlocks && caches is null ? BlockCheckpoint.Apply(block, x) : block.forward(x, caches?[layer]);
            layer++;
        }

        x = Mark(x, layer);
        return _finalNorm.forward(x).MoveToOuterDisposeScope();
    }

    /// <summary>Logits from the final norm's output.</summary>
    /// <param name="hidden">[.., p].</param>
    /// <returns>float32 [.., V].</returns>
    public Tensor Logits(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return Linear.Apply(hidden, HeadWeight, null, HeadType(hidden)).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Mean cross entropy of the next token, in nats.</summary>
    /// <param name="tokens">int64 [B, T].</param>
    /// <param name="targets">int64 [B, T], the token that follows each.</param>
    /// <returns>A float32 scalar, for one backward pass: each layer gives back what it kept when its turn has come, and the graph cannot be kept.</returns>
    public Tensor Loss(Tensor tokens, Tensor targets)
    {
        // The last pass's would lie in the middle of the memory that this one's activations take.
        ReturnedGradients.Release();
        using var once = SingleUse.Begin();
        using var scope = NewDisposeScope();
        _headLoss.Reserve(tokens.numel(), HeadWeight, HeadType(HeadWeight));
        var hidden = Hidden(tokens);
        return _headLoss.Mean(hidden.flatten(0, 1), HeadWeight, targets.flatten(), HeadType(hidden)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _headLoss.Dispose();
        }

        base.Dispose(disposing);
    }

    private Tensor Mark(Tensor x, int layer) => LayerDone is { } done ? BackwardMark.Apply(x, () => done(layer)) : x;

    private Parameter HeadWeight => _head?.Weight ?? _tokenEmbedding;

    private ScalarType HeadType(Tensor factor) => _computeType == ScalarType.BFloat16 ? ScalarType.BFloat16 : factor.dtype;

    internal static ModuleOptions Options(ModelConfig config, Device? device) => new()
    {
        Device = device,
        InitialStd = config.InitialStd,
        ResidualStd = config.InitialStd / Math.Sqrt(2.0 * config.LayerCount),
    };
}
