using System.Diagnostics;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A node of the autograd graph whose backward is our own. It binds values that are computed without a graph to TorchSharp's custom
/// functions and makes up for four of their habits:
/// an exception in forward leaks the node, so the value is computed before the node exists;
/// an exception in backward cannot cross the native frames and would end the process;
/// the wrappers of the value given to the node and of the gradients returned by it are left to the finalizer;
/// what is saved stays until the whole graph goes (see <see cref="SingleUse"/>).
/// </summary>
/// <typeparam name="TSelf">The node itself.</typeparam>
/// <typeparam name="TState">What backward needs beside the saved tensors.</typeparam>
internal abstract class GraphNode<TSelf, TState> : autograd.SingleTensorFunction<TSelf>
    where TSelf : GraphNode<TSelf, TState>, new()
{
    private const string CallKey = "call";

    /// <summary>Releases the gradients that the last backward pass of a node on this thread returned.</summary>
    public static void ReleaseReturned() => ReturnedGradients.Release();

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
        IReadOnlyList<Tensor?> returned;
        var call = (Call)ctx.get_data(CallKey);
        using (grad_output)
        {
            IReadOnlyList<Tensor> saved = [];
            try
            {
                call.Enter();
                saved = [.. ctx.get_saved_variables()];
                using (no_grad())
                {
                    returned = Gradients(saved, call.State, grad_output);
                }
            }
            catch (Exception exception)
            {
                // A gradient of an impossible shape makes libtorch fail the whole backward pass with an ordinary error.
                Trace.TraceError("The backward pass of {0} failed: {1}", Name, exception);
                returned = [.. Enumerable.Range(0, call.InputCount).Select(_ => empty(0))];
            }

            foreach (Tensor tensor in saved.Where(tensor => !returned.Contains(tensor, ReferenceEqualityComparer.Instance)))
            {
                tensor.Dispose();
            }

            if (call.IsSingleUse)
            {
                ctx.Dispose();
            }
        }

        ReturnedGradients.Hold(returned);
        return [.. returned.Select(gradient => gradient!), null!];
    }

    /// <summary>Makes <paramref name="value"/>, computed without a graph, a function of the inputs; takes over value.</summary>
    protected static Tensor Attach(Tensor value, IReadOnlyList<Tensor> inputs, IEnumerable<Tensor> saved, TState state)
    {
        using (value)
        using (NewDisposeScope())
        {
            var call = new Call(value, [.. saved], inputs.Count, state);
            Tensor result = apply([.. inputs, call]);

            // The native side holds the saved tensors from here on; the list would keep their wrappers alive as long as the graph.
            call.Saved.Clear();

            // With the scope goes a tensor of the value's size that TorchSharp makes for gradients that do not come.
            return result.MoveToOuterDisposeScope();
        }
    }

    /// <summary>The gradients for the inputs, in their order, computed without a graph; null where there is none. A saved tensor may be returned.</summary>
    protected abstract IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, TState state, Tensor gradient);

    private sealed class Call(Tensor value, List<Tensor> saved, int inputCount, TState state)
    {
        private Tensor? _value = value;
        private bool _isEntered;

        public List<Tensor> Saved { get; } = saved;

        public int InputCount { get; } = inputCount;

        public TState State { get; } = state;

        public bool IsSingleUse { get; } = SingleUse.IsOn;

        public void Enter()
        {
            if (_isEntered && IsSingleUse)
            {
                throw new InvalidOperationException("The graph was built for one backward pass and has had it; what it kept is gone.");
            }

            _isEntered = true;
        }

        public Tensor TakeValue()
        {
            Tensor taken = _value!;
            _value = null;
            return taken;
        }
    }
}
