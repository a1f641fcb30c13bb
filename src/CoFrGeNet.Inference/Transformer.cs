using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

// Dimensions: p = width, V = vocabulary, T = context length.

/// <summary>Embeddings, blocks, final norm and head of a model.</summary>
internal sealed unsafe class Transformer
{
    private readonly int _width;
    private readonly Matrix _embedding;
    private readonly float* _positions;
    private readonly Block[] _blocks;
    private readonly Norm _finalNorm;
    private readonly Linear _head;
    private readonly Rotary[] _rotaries;
    private readonly Action<int> _embedRow;
    private Pass _pass = null!;
    private float* _residual;

    /// <summary>Reads its tensors.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="model">Its shape, valid.</param>
    public Transformer(WeightReader weights, ModelConfig model)
    {
        _width = model.Width;
        VocabularySize = model.VocabularySize;
        Stride = EngineKernels.Padded(_width);
        _embedding = weights.Matrix("token_embedding", model.VocabularySize, _width);
        _positions = model.LearnedPositions ? weights.Vector("position_embedding", model.ContextLength, _width) : null;
        var factory = new ModuleFactory(weights, model);
        var blocks = new List<Block>();
        if (model.Blocks.Select(block => block.TorchOnlyPart()).FirstOrDefault(part => part is not null) is { } stranger)
        {
            throw new UserErrorException($"The model has {stranger}, which the managed engine does not compute; the torch engine does (--engine torch).");
        }

        foreach (var config in model.Layers)
        {
            var block = new Block(factory, $"blocks.{blocks.Count}", config);
            block.Mixer.PageOffset = checked((nint)PageFloats);
            PageFloats += (block.Mixer.PageFloats + EngineKernels.RowAlignment - 1) / EngineKernels.RowAlignment * EngineKernels.RowAlignment;
            blocks.Add(block);
        }

        _blocks = [.. blocks];
        _rotaries = [.. factory.Rotaries];
        _finalNorm = factory.Norm("final_norm");
        _head = model.TiedHead ? new Linear(_embedding, 0) : Linear.Read(weights, "head", model.VocabularySize, _width);
        _embedRow = EmbedRow;
        PassBytes = weights.MatrixBytes - (model.TiedHead ? 0 : _embedding.Bytes);
    }

    /// <summary>Bytes of the matrices that a pass reads.</summary>
    public long PassBytes { get; }

    /// <summary>From a row of hidden values to the next: the width in whole registers.</summary>
    public int Stride { get; }

    /// <summary>V.</summary>
    public int VocabularySize { get; }

    /// <summary>Float32 values that all layers keep of a page of tokens.</summary>
    public long PageFloats { get; }

    /// <summary>Runs the blocks over the rows of a pass.</summary>
    /// <param name="pass">The pass.</param>
    /// <returns>The residual stream behind the last block, [rows, <see cref="Stride"/>], in the pass's working memory.</returns>
    public float* Run(Pass pass)
    {
        _pass = pass;
        _residual = pass.Arena.Take((long)pass.Rows * Stride);
        var normed = pass.Arena.Take((long)pass.Rows * Stride);
        foreach (var rotary in _rotaries)
        {
            rotary.Prepare(pass);
        }

        pass.ForRows(_embedRow);
        for (var i = 0; i < _blocks.Length; i++)
        {
            if (pass.Probe is { } probe)
            {
                probe.Layer = i;
            }

            var mark = pass.Arena.Mark;
            _blocks[i].Forward(pass, normed, _residual, Stride);
            pass.Arena.Release(mark);
        }

        return _residual;
    }

    /// <summary>The final norm of a row.</summary>
    /// <param name="kernels">The kernels.</param>
    /// <param name="residual">The row of the residual stream.</param>
    /// <param name="hidden">Receives the result, [p].</param>
    public void Finish(EngineKernels kernels, float* residual, float* hidden) => _finalNorm.Apply(kernels, residual, hidden);

    /// <summary>The logits of rows behind the final norm.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="hidden">The rows, [n, <see cref="Stride"/>].</param>
    /// <param name="rows">n.</param>
    /// <param name="isBlock">Whether they are multiplied in a block.</param>
    /// <param name="logits">Receives the logits.</param>
    /// <param name="stride">From a row's logits to the next.</param>
    public void Head(Pass pass, float* hidden, int rows, bool isBlock, float* logits, nint stride)
    {
        pass.Enqueue(_head, logits, stride);
        pass.Multiply(hidden, Stride, rows, isBlock ? 0 : rows);
    }

    private void EmbedRow(int row)
    {
        var target = _residual + ((nint)row * Stride);
        _embedding.Widen(_pass.Token(row), 0, _width, target);
        if (_positions != null)
        {
            var position = _positions + ((nint)_pass.Position(row) * _width);
            for (var i = 0; i < _width; i++)
            {
                target[i] += position[i];
            }
        }
    }
}
