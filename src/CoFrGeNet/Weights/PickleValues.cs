namespace CoFrGeNet.Weights;

/// <summary>A name that a pickle refers to, for example "torch FloatStorage"; always one of <see cref="PickleMachine"/>'s list.</summary>
/// <param name="Name">Module and name with a space between.</param>
internal sealed record PickleGlobal(string Name);

/// <summary>A tuple.</summary>
/// <param name="Items">Its items.</param>
internal sealed record PickleTuple(object?[] Items);

/// <summary>A list.</summary>
internal sealed class PickleList
{
    private List<object?>? _items;

    /// <summary>Its items.</summary>
    public IReadOnlyList<object?> Items => _items ?? [];

    /// <summary>Appends items.</summary>
    public void Add(object?[] items) => (_items ??= []).AddRange(items);
}

/// <summary>A dictionary, ordered or not. Keys are not made unique: what is flattened out of it is.</summary>
internal sealed class PickleDictionary
{
    private List<(object? Key, object? Value)>? _entries;

    /// <summary>Its entries in the order of insertion.</summary>
    public IReadOnlyList<(object? Key, object? Value)> Entries => _entries ?? [];

    /// <summary>Appends an entry.</summary>
    public void Add(object? key, object? value) => (_entries ??= []).Add((key, value));
}

/// <summary>The elements that one or more tensors are views of.</summary>
/// <param name="Key">Name of the file in the archive's data folder.</param>
/// <param name="DType">The type of the elements.</param>
/// <param name="Count">The number of elements.</param>
internal sealed record PickleStorage(string Key, TensorDType DType, long Count);

/// <summary>A view of a storage.</summary>
/// <param name="Storage">The elements.</param>
/// <param name="Offset">The first element.</param>
/// <param name="Shape">The extents, outermost first.</param>
/// <param name="Strides">Elements between neighbours along each axis.</param>
internal sealed record PickleTensor(PickleStorage Storage, long Offset, long[] Shape, long[] Strides);
