namespace CoFrGeNet.Torch;

/// <summary>
/// Gradients that a node has returned from its backward pass. libtorch reads them only after that has ended, so they can be released no sooner than when the next node
/// of the thread begins, or when the whole pass is over. The engine runs a device's backward passes on one thread, so one place a thread is enough.
/// </summary>
internal static class ReturnedGradients
{
    [ThreadStatic]
    private static IReadOnlyList<Tensor?>? _held;

    /// <summary>Keeps what a node is about to return; what was held before is released.</summary>
    public static void Hold(IReadOnlyList<Tensor?> gradients)
    {
        Release();
        _held = gradients;
    }

    /// <summary>Releases what is held on this thread.</summary>
    public static void Release()
    {
        foreach (var gradient in _held ?? [])
        {
            gradient?.Dispose();
        }

        _held = null;
    }
}
