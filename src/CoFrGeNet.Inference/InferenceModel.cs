using System.Buffers;
using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Generation;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Inference;

/// <summary>
/// A model folder run by managed code alone. Weights stay in the memory map of their file, which processes share. Several threads may call it with sessions of their
/// own: a pass takes all cores, so passes of all models of a process follow one another. What a sequence gets depends on its own calls alone (the number of tokens of each),
/// never on the sequences beside it, the number of threads or which of them does what: it is equal bit by bit.
/// </summary>
public sealed class InferenceModel : ILanguageModel, ILadderInspection, IDisposable
{
    private readonly WeightReader _weights;
    private readonly Transformer _transformer;
    private readonly CachePool _pool;
    private readonly PassRunner _runner;

    private InferenceModel(ModelConfig config, WeightReader weights, InferenceOptions options, EngineKernels kernels)
    {
        Config = config;
        _weights = weights;
        _transformer = new Transformer(weights, config);
        weights.RequireAllUsed();
        _pool = new CachePool(_transformer.PageFloats, options);
        _runner = new PassRunner(_transformer, kernels, options.Threads ?? Environment.ProcessorCount);
    }

    /// <summary>The model's shape.</summary>
    public ModelConfig Config { get; }

    /// <inheritdoc/>
    public int VocabularySize => Config.VocabularySize;

    /// <inheritdoc/>
    public int ContextLength => Config.ContextLength;

    /// <summary>Most tokens that the caches of all sequences hold together; each sequence takes whole pages of 64.</summary>
    public long CacheCapacity => _pool.CapacityTokens;

    /// <summary>Tokens that the caches can still take.</summary>
    public long CacheFree => _pool.FreeTokens;

    /// <summary>Bytes that the caches take for each page of 64 tokens.</summary>
    public long CachePageBytes => _pool.PageBytes;

    /// <summary>Bytes of weights that are not read in place from the file's map but from a copy.</summary>
    public long CopiedBytes => _weights.CopiedBytes;

    /// <summary>Bytes of the matrices that a pass reads, the head's among them; of tables of embeddings and positions it takes single rows.</summary>
    public long PassBytes => _transformer.PassBytes;

    /// <summary>Loads a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Threads and the caches' budget; null: defaults.</param>
    /// <returns>The model; dispose it.</returns>
    /// <exception cref="UserErrorException">A file is missing, damaged, or does not fit the others; an option is out of range.</exception>
    public static InferenceModel Load(string folder, InferenceOptions? options = null) =>
        Load(folder, options ?? new InferenceOptions(), EngineKernels.Best);

    /// <inheritdoc/>
    public IDecodingSession StartSession()
    {
        ObjectDisposedException.ThrowIf(_runner.IsDisposed, this);
        return new InferenceSession(this, _pool);
    }

    /// <inheritdoc/>
    public void Append(ReadOnlySpan<SessionTokens> steps)
    {
        var sequences = ArrayPool<TokenSequence>.Shared.Rent(Math.Max(1, steps.Length));
        var prepared = 0;
        try
        {
            foreach (var step in steps)
            {
                var sequence = Session(step).Sequence;
                if (sequences.AsSpan(0, prepared).Contains(sequence))
                {
                    throw new ArgumentException("A session is in the list twice.", nameof(steps));
                }

                Session(step).Prepare(step.Tokens.Span);
                sequences[prepared++] = sequence;
            }

            _runner.Run(sequences.AsSpan(0, prepared));
            foreach (var step in steps)
            {
                Session(step).Finish();
            }
        }
        catch
        {
            foreach (var sequence in sequences.AsSpan(0, prepared))
            {
                sequence.Cancel();
            }

            throw;
        }
        finally
        {
            ArrayPool<TokenSequence>.Shared.Return(sequences, clearArray: true);
        }
    }

    /// <inheritdoc/>
    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, LogitsReader reader)
    {
        ArgumentNullException.ThrowIfNull(sequences);
        ArgumentNullException.ThrowIfNull(positions);
        ArgumentNullException.ThrowIfNull(reader);
        foreach (var sequence in sequences)
        {
            Check(sequence.Span, 0);
        }

        using var scoring = new Scoring(_runner, _transformer, sequences, positions);
        scoring.Run(_pool);
        scoring.Deliver(reader);
    }

    /// <inheritdoc/>
    public bool HasLadders => Config.Layers.Any(layer => layer.Mixer is CAttnMConfig or CAttnUConfig || layer.FeedForward is CffnConfig);

    /// <inheritdoc/>
    public IReadOnlyList<LadderUse> InspectLadders(ReadOnlyMemory<int> tokens) => Look(tokens, new LadderProbe()).Uses;

    /// <inheritdoc/>
    public LadderCurve InspectLadder(ReadOnlyMemory<int> tokens, LadderPlace place, ReadOnlySpan<float> scales)
    {
        var line = Look(tokens, new LadderProbe(place)).Line ?? throw new ArgumentOutOfRangeException(nameof(place), place, "there is no such ladder");
        return new LadderCurve(
            line.At(scales), line.At([1])[0], float.IsFinite(line.Low) ? line.Low : null, float.IsFinite(line.High) ? line.High : null);
    }

    /// <summary>Runs a text with somebody looking at the ladders.</summary>
    internal LadderProbe Look(ReadOnlyMemory<int> tokens, LadderProbe probe)
    {
        Check(tokens.Span, 0);
        using var sequence = new TokenSequence(_pool);
        sequence.Prepare(tokens.Span);
        _runner.Run(new ReadOnlySpan<TokenSequence>(in sequence), probe);
        return probe;
    }

    /// <summary>Frees weights and caches. Sessions must not be used afterwards.</summary>
    public void Dispose()
    {
        lock (Team.Shared.Gate)
        {
            if (!_runner.IsDisposed)
            {
                _runner.Dispose();
                _pool.Dispose();
                _weights.Dispose();
            }
        }
    }

    internal static InferenceModel Load(string folder, InferenceOptions options, EngineKernels kernels)
    {
        options.Validate();
        var config = ModelFolderConfig.Read(folder).Model;
        try
        {
            var weights = new WeightReader(WeightFiles.Open(folder));
            try
            {
                return new InferenceModel(config, weights, options, kernels);
            }
            catch
            {
                weights.Dispose();
                throw;
            }
        }
        catch (WeightsFormatException e)
        {
            throw new UserErrorException($"{e.Message.TrimEnd('.')}; the file is damaged, take another copy.", e);
        }
    }

    /// <summary>Runs one sequence.</summary>
    internal void Run(TokenSequence sequence) => _runner.Run(new ReadOnlySpan<TokenSequence>(in sequence));

    /// <summary>Refuses tokens that cannot be appended.</summary>
    /// <exception cref="UserErrorException">The sequence would outgrow the context.</exception>
    /// <exception cref="ArgumentException">There are none, or one is not in the vocabulary.</exception>
    internal void Check(ReadOnlySpan<int> tokens, int length)
    {
        if (tokens.IsEmpty)
        {
            throw new ArgumentException("at least one token is needed", nameof(tokens));
        }

        if (length + (long)tokens.Length > ContextLength)
        {
            throw new UserErrorException(IDecodingSession.TooLong(length, tokens.Length, ContextLength));
        }

        foreach (var token in tokens)
        {
            if (token < 0 || token >= VocabularySize)
            {
                throw new ArgumentOutOfRangeException(nameof(tokens), token, $"A token id is {token}; it must lie in 0 to {VocabularySize - 1}.");
            }
        }
    }

    private InferenceSession Session(SessionTokens step) => step.Session is InferenceSession session && session.Model == this
        ? session
        : throw new ArgumentException("A session belongs to another model.", nameof(step));
}
