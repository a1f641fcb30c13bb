using System.Diagnostics;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A node of the autograd graph whose backward is our own. It binds values that are computed without a graph to TorchSharp's custom
/// functions and makes up for three of their habits:
/// an exception in forward leaks the node, so the value is computed before the node exists;
/// an exception in backward cannot cross the native frames and would end the process;
/// the wrappers of the value given to the node and of the gradients returned by it are left to the finalizer.
/// </summary>
/// <typeparam name="TSelf">The node itself; each kind keeps what it returned apart from the others.</typeparam>
/// <typeparam name="TState">What backward needs beside the saved tensors.</typeparam>
internal abstract class GraphNode<TSelf, TState> : autograd.SingleTensorFunction<TSelf>
    where TSelf : GraphNode<TSelf, TState>, new()
{
    private const string CallKey = "call";

    // libtorch reads returned gradients only after backward has returned, so they can be released no sooner than at the next call.
    // The engine runs a device's backward passes on one thread, so one slot a thread is enough.
    [ThreadStatic]
    private static IReadOnlyList<Tensor?>? _returned;

    /// <summary>Releases the gradients that the last backward pass of this kind on this thread returned.</summary>
    public static void ReleaseReturned()
    {
        foreach (Tensor? gradient in _returned ?? [])
        {
            gradient?.Dispose();
        }

        _returned = null;
    }

    /// <inheritdoc/>
    public sealed override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var call = (Call)vars[^1];
        ctx.save_for_backward(call.Saved);
        ctx.save_data(CallKey, call);
        return call.TakeValue();
    }

    /// <inheritdoc/>
    public sealed override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReleaseReturned();
        var call = (Call)ctx.get_data(CallKey);
        using (grad_output)
        {
            IReadOnlyList<Tensor> saved = [];
            try
            {
                saved = [.. ctx.get_saved_variables()];
                using (no_grad())
                {
                    _returned = Gradients(saved, call.State, grad_output);
                }
            }
            catch (Exception exception)
            {
                // A gradient of an impossible shape makes libtorch fail the whole backward pass with an ordinary error.
                Trace.TraceError("The backward pass of {0} failed: {1}", Name, exception);
                _returned = [.. Enumerable.Range(0, call.InputCount).Select(_ => empty(0))];
            }

            foreach (Tensor tensor in saved.Where(tensor => !_returned.Contains(tensor, ReferenceEqualityComparer.Instance)))
            {
                tensor.Dispose();
            }
        }

        return [.. _returned!.Select(gradient => gradient!), null!];
    }

    /// <summary>Makes <paramref name="value"/>, computed without a graph, a function of the inputs; takes over value.</summary>
    protected static Tensor Attach(Tensor value, IReadOnlyList<Tensor> inputs, IEnumerable<Tensor> saved, TState state)
    {
        using (value)
        {
            var call = new Call(value, [.. saved], inputs.Count, state);
            Tensor result = apply([.. inputs, call]);

            // The native side holds the saved tensors from here on; the list would keep their wrappers alive as long as the graph.
            call.Saved.Clear();
            return result;
        }
    }

    /// <summary>The gradients for the inputs, in their order, computed without a graph; null where there is none. A saved tensor may be returned.</summary>
    protected abstract IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, TState state, Tensor gradient);

    private sealed class Call(Tensor value, List<Tensor> saved, int inputCount, TState state)
    {
        private Tensor? _value = value;

        public List<Tensor> Saved { get; } = saved;

        public int InputCount { get; } = inputCount;

        public TState State { get; } = state;

        public Tensor TakeValue()
        {
            Tensor taken = _value!;
            _value = null;
            return taken;
        }
    }
}
