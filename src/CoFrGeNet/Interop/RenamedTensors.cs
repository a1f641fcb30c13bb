using CoFrGeNet.Weights;

namespace CoFrGeNet.Interop;

/// <summary>Some tensors of a source under other names. What it reads from stays open after it.</summary>
internal sealed class RenamedTensors : TensorSource
{
    private readonly TensorSource _source;
    private readonly IReadOnlyDictionary<string, string> _original;

    private RenamedTensors(TensorSource source, IReadOnlyDictionary<string, string> original)
        : base(source.Path, [.. original.Select(entry => source[entry.Value] with { Name = entry.Key })], source.Metadata)
    {
        _source = source;
        _original = original;
    }

    /// <summary>The name in the source.</summary>
    /// <param name="name">The new name.</param>
    public string Original(string name) => _original[name];

    /// <summary>
    /// Takes prefixes off: what programs put before every name of a model (<c>module.</c>, <c>_orig_mod.</c>, the entry of a checkpoint that holds
    /// the model beside its optimizer), and puts the architecture's own prefix before names that lack it.
    /// </summary>
    /// <param name="source">The tensors.</param>
    /// <param name="outer">What stands before every name of the model; other names are left out.</param>
    /// <param name="inner">The architecture's own prefix where names behind the outer one lack it; else empty.</param>
    public static RenamedTensors Of(TensorSource source, string outer, string inner) => new(
        source,
        source.Names.Where(name => name.StartsWith(outer, StringComparison.Ordinal))
            .ToDictionary(name => name[outer.Length..] is ForeignArchitecture.Head ? ForeignArchitecture.Head : inner + name[outer.Length..], StringComparer.Ordinal));

    /// <inheritdoc/>
    private protected override void ReadBytes(TensorInfo info, long byteOffset, Span<byte> destination) =>
        _source.ReadPart(_original[info.Name], byteOffset, destination);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
    }
}
