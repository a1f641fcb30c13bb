namespace CoFrGeNet.Interop;

/// <summary>A tensor that is made of tensors of other names: its parts, one behind the other.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Shape">Its extents, outermost first.</param>
/// <param name="Parts">What it is made of; none: zeros.</param>
internal sealed record TensorRule(string Name, long[] Shape, IReadOnlyList<TensorPart> Parts)
{
    /// <summary>A tensor of the same shape and order under another name.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="from">The other name.</param>
    /// <param name="shape">The extents of both.</param>
    public static TensorRule Same(string name, string from, params long[] shape) => new(name, shape, [new TensorPart(from, shape)]);

    /// <summary>A matrix that stands transposed under the other name.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="from">The other name.</param>
    /// <param name="rows">Rows of this tensor, columns of the other one.</param>
    /// <param name="columns">Columns of this tensor, rows of the other one.</param>
    public static TensorRule Transposed(string name, string from, long rows, long columns) =>
        new(name, [rows, columns], [new TensorPart(from, [columns, rows], StridedView.Transpose(columns, rows))]);

    /// <summary>The rules that lead back, one for each part.</summary>
    /// <exception cref="InvalidOperationException">A part does not show its tensor whole.</exception>
    public IEnumerable<TensorRule> Invert()
    {
        long offset = 0;
        foreach (var part in Parts)
        {
            var count = part.View.Count;
            yield return new TensorRule(part.Name, part.Shape, [new TensorPart(Name, Shape, part.View.Invert(offset))]);
            offset += count;
        }
    }
}

/// <summary>A part of a tensor: elements of another tensor in an order of their own.</summary>
internal sealed record TensorPart
{
    /// <summary>Names a part.</summary>
    /// <param name="name">The other tensor's name.</param>
    /// <param name="shape">Its extents, outermost first.</param>
    /// <param name="view">Which of its elements, in which order; null: all, as they lie.</param>
    public TensorPart(string name, long[] shape, StridedView? view = null)
    {
        Name = name;
        Shape = shape;
        View = view ?? new StridedView(0, [shape.Aggregate(1L, (product, extent) => checked(product * extent))], [1]);
    }

    /// <summary>The other tensor's name.</summary>
    public string Name { get; init; }

    /// <summary>Its extents, outermost first.</summary>
    public long[] Shape { get; }

    /// <summary>Which of its elements, in which order.</summary>
    public StridedView View { get; }

    /// <summary>Whether the elements lie in the other tensor one behind the other, in this order.</summary>
    public bool IsContiguous => View.Extents.Length == 1 && View.Strides[0] == 1;
}
