namespace CoFrGeNet.Torch;

/// <summary>
/// Graphs that are gone through once. libtorch gives back what an operation of its own has saved as soon as its turn in the backward pass has come, unless the
/// graph shall be kept; nodes of ours do not hear whether it shall, so they hold on until the graph goes. Whoever builds a graph for one pass says so here.
/// </summary>
internal sealed class SingleUse : IDisposable
{
    [ThreadStatic]
    private static bool _isOn;

    private readonly bool _before = _isOn;

    private SingleUse() => _isOn = true;

    /// <summary>Whether nodes that are made now, on this thread, give back what they saved in their first backward pass.</summary>
    public static bool IsOn => _isOn;

    /// <summary>Turns it on until the result is disposed.</summary>
    public static SingleUse Begin() => new();

    /// <inheritdoc/>
    public void Dispose() => _isOn = _before;
}
