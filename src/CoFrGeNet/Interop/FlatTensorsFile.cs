using System.Buffers.Binary;
using CoFrGeNet.Configuration;
using CoFrGeNet.Weights;
using Microsoft.Win32.SafeHandles;

namespace CoFrGeNet.Interop;

/// <summary>
/// A file of numbers without names, whose header says how many of each there are: the checkpoints of llm.c (GPT-2) and of llama2.c
/// (legacy format). The tensors get the names that Hugging Face gives them.
/// </summary>
internal sealed class FlatTensorsFile : TensorSource
{
    private const int LlmcMagic = 20240326;
    private const int LlmcHeaderBytes = 1024;
    private const int Llama2cHeaderBytes = 28;
    private const int Llama2cMagic = 0x616b3432;

    // Sizes beyond these are no model, but keep every product below 2^63.
    private const int MaxExtent = 1 << 20;
    private const int MaxLayers = 4096;

    private readonly SafeFileHandle _handle;

    private FlatTensorsFile(string path, SafeFileHandle handle, string format, ModelConfig model, List<TensorInfo> tensors)
        : base(path, tensors, new Dictionary<string, string>())
    {
        _handle = handle;
        Format = format;
        Model = model;
    }

    /// <summary>What the file is, for people.</summary>
    public string Format { get; }

    /// <summary>The model of the header.</summary>
    public ModelConfig Model { get; }

    /// <summary>Whether matrices turn coordinates in pairs, as llama2.c does.</summary>
    public bool HasRotaryPairs => Model.Norm.Kind == NormKind.RmsNorm;

    /// <summary>Opens a file if its header is one of the two.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The open file, or null where it is something else.</returns>
    /// <exception cref="WeightsFormatException">It is one of the two, but of a version that is not read, or damaged.</exception>
    public static FlatTensorsFile? TryOpen(string path)
    {
        var handle = WeightFiles.OpenHandle(path);
        try
        {
            var length = RandomAccess.GetLength(handle);
            var header = new byte[Math.Min(length, Llama2cHeaderBytes + 4)];
            SafeTensorsFile.ReadExactly(path, handle, header, 0);
            var numbers = new int[header.Length / 4];
            for (var i = 0; i < numbers.Length; i++)
            {
                numbers[i] = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(4 * i));
            }

            var file = numbers.Length < 8 ? null : numbers[0] == LlmcMagic ? OpenLlmc(path, handle, numbers, length) : OpenLlama2c(path, handle, numbers, length);
            if (file is null)
            {
                handle.Dispose();
            }

            return file;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    private protected override void ReadBytes(TensorInfo info, long byteOffset, Span<byte> destination) =>
        SafeTensorsFile.ReadExactly(Path, _handle, destination, info.ByteOffset + byteOffset);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _handle.Dispose();
        }
    }

    // int32: magic, version, context, vocabulary, layers, heads, width, padded vocabulary; then every tensor for all layers.
    private static FlatTensorsFile OpenLlmc(string path, SafeFileHandle handle, int[] header, long length)
    {
        var type = header[1] switch
        {
            3 => TensorDType.F32,
            5 => TensorDType.BF16,
            _ => throw new WeightsFormatException(path, $"an llm.c checkpoint of version {header[1]}; versions 3 (float32) and 5 (bf16) are read"),
        };
        int context = header[2], vocabulary = header[3], layers = header[4], heads = header[5], width = header[6], padded = header[7];
        Check(path, context, vocabulary, heads, width, padded, layers);
        if (padded < vocabulary || width % heads != 0)
        {
            throw new WeightsFormatException(path, $"an llm.c header with a vocabulary of {vocabulary} padded to {padded}, and {heads} heads at width {width}");
        }

        var layout = new Layout(type, LlmcHeaderBytes);
        long p = width;
        layout.Add("transformer.wte.weight", [vocabulary, p], (padded - vocabulary) * p);
        layout.Add("transformer.wpe.weight", [context, p]);
        (string Name, long[] Shape)[] stacks =
        [
            ("ln_1.weight", [p]), ("ln_1.bias", [p]), ("attn.c_attn.weight", [3 * p, p]), ("attn.c_attn.bias", [3 * p]),
            ("attn.c_proj.weight", [p, p]), ("attn.c_proj.bias", [p]), ("ln_2.weight", [p]), ("ln_2.bias", [p]),
            ("mlp.c_fc.weight", [4 * p, p]), ("mlp.c_fc.bias", [4 * p]), ("mlp.c_proj.weight", [p, 4 * p]), ("mlp.c_proj.bias", [p]),
        ];
        foreach (var (name, shape) in stacks)
        {
            layout.AddLayers(layers, i => $"transformer.h.{i}.{name}", shape);
        }

        layout.Add("transformer.ln_f.weight", [p]);
        layout.Add("transformer.ln_f.bias", [p]);
        var model = new ModelConfig
        {
            VocabularySize = vocabulary,
            ContextLength = context,
            Width = width,
            Blocks = [new() { Repeat = layers, Mixer = new AttentionConfig { Heads = heads }, FeedForward = new MlpConfig() }],
        };
        return layout.End == length
            ? new FlatTensorsFile(path, handle, "llm.c", model, layout.Tensors)
            : throw new WeightsFormatException(path, $"an llm.c header that promises {layout.End} bytes; the file has {length}: truncated?");
    }

    // int32: width, hidden, layers, heads, key-value heads, vocabulary (negative: own head), context; then float32. No magic number, so the length must fit.
    private static FlatTensorsFile? OpenLlama2c(string path, SafeFileHandle handle, int[] header, long length)
    {
        if (header[0] == Llama2cMagic)
        {
            throw new WeightsFormatException(path, $"a llama2.c checkpoint of version {header[1]}; only the legacy format without a magic number is read, export with --version 0");
        }

        int width = header[0], hidden = header[1], layers = header[2], heads = header[3], groups = header[4], context = header[6];
        var isTied = header[5] > 0;
        int[] extents = [width, hidden, heads, groups, context];
        if (extents.Any(n => n is < 1 or > MaxExtent) || layers is < 1 or > MaxLayers || header[5] is 0 or < -MaxExtent or > MaxExtent
            || width % heads != 0 || heads % groups != 0 || width / heads % 2 != 0)
        {
            return null;
        }

        var vocabulary = Math.Abs(header[5]);
        var layout = new Layout(TensorDType.F32, Llama2cHeaderBytes);
        long p = width, size = width / heads, keys = groups * size;
        layout.Add("model.embed_tokens.weight", [vocabulary, p]);
        (string Name, long[] Shape)[] stacks =
        [
            ("input_layernorm", [p]), ("self_attn.q_proj", [p, p]), ("self_attn.k_proj", [keys, p]), ("self_attn.v_proj", [keys, p]), ("self_attn.o_proj", [p, p]),
            ("post_attention_layernorm", [p]), ("mlp.gate_proj", [hidden, p]), ("mlp.down_proj", [p, hidden]), ("mlp.up_proj", [hidden, p]),
        ];
        foreach (var (name, shape) in stacks)
        {
            layout.AddLayers(layers, i => $"model.layers.{i}.{name}.weight", shape);
        }

        // Behind the norm lie two tables of the rotary embedding, which are computed here.
        layout.Add("model.norm.weight", [p], context * size);
        if (!isTied)
        {
            layout.Add(ForeignArchitecture.Head, [vocabulary, p]);
        }

        var model = new ModelConfig
        {
            VocabularySize = vocabulary,
            ContextLength = context,
            Width = width,
            Norm = new() { Kind = NormKind.RmsNorm },
            LearnedPositions = false,
            TiedHead = isTied,
            Blocks =
            [
                new()
                {
                    Repeat = layers,
                    Mixer = new AttentionConfig { Heads = heads, KeyValueHeads = groups == heads ? null : groups, Bias = false, Rotary = new() },
                    FeedForward = new SwiGluConfig { HiddenSize = hidden },
                },
            ],
        };
        return layout.End == length ? new FlatTensorsFile(path, handle, "llama2.c", model, layout.Tensors) : null;
    }

    private static void Check(string path, int context, int vocabulary, int heads, int width, int padded, int layers)
    {
        if (new[] { context, vocabulary, heads, width, padded }.Any(n => n is < 1 or > MaxExtent) || layers is < 1 or > MaxLayers)
        {
            throw new WeightsFormatException(path, "the header holds sizes that no model has");
        }
    }

    private sealed class Layout(TensorDType type, long start)
    {
        public List<TensorInfo> Tensors { get; } = [];

        public long End { get; private set; } = start;

        /// <summary>Appends a tensor and elements behind it that belong to none.</summary>
        public void Add(string name, long[] shape, long skipped = 0)
        {
            var bytes = shape.Aggregate(1L, (product, extent) => product * extent) * type.SizeInBytes();
            Tensors.Add(new TensorInfo(name, type, shape, End, bytes));
            End += bytes + (skipped * type.SizeInBytes());
        }

        public void AddLayers(int layers, Func<int, string> name, long[] shape)
        {
            for (var i = 0; i < layers; i++)
            {
                Add(name(i), shape);
            }
        }
    }
}
