using System.Diagnostics;
using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, d = depth, L = number of ladders.

/// <summary>
/// The node of the autograd graph behind <see cref="LadderFunction"/>. It only binds <see cref="LadderKernel"/> to TorchSharp's custom
/// functions and makes up for three of their habits:
/// an exception in forward leaks the node, so the value is computed before the node exists;
/// an exception in backward cannot cross the native frames and would end the process;
/// the wrappers of the value given to the node and of the gradient returned by it are left to the finalizer.
/// </summary>
internal sealed class LadderNode : autograd.SingleTensorFunction<LadderNode>
{
    private const string CallKey = "call";

    // libtorch reads a returned gradient only after backward has returned, so it can be released no sooner than at the next call.
    // The engine runs a device's backward passes on one thread, so one slot a thread is enough.
    [ThreadStatic]
    private static Tensor? _returned;

    /// <inheritdoc/>
    public override string Name => "Ladder";

    /// <summary>Releases the gradient that the last backward pass on this thread returned.</summary>
    public static void ReleaseReturned()
    {
        _returned?.Dispose();
        _returned = null;
    }

    /// <summary>
    /// Makes <paramref name="value"/> [..., L], computed without a graph, a function of <paramref name="a"/> [..., d, L]; takes over value.
    /// </summary>
    public static Tensor Attach(Tensor a, PoleGuard guard, LadderRange range, Tensor value)
    {
        using (value)
        {
            List<Tensor> saved = [a];
            Tensor result = apply(a, new Call(guard, range, value, saved));

            // The native side holds a from here on; the list would keep its wrapper alive as long as the graph.
            saved.Clear();
            return result;
        }
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var call = (Call)vars[1];
        ctx.save_for_backward(call.Saved);
        ctx.save_data(CallKey, call);
        return call.TakeValue();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReleaseReturned();
        using (grad_output)
        {
            try
            {
                var call = (Call)ctx.get_data(CallKey);
                using Tensor a = ctx.get_saved_variables()[0];
                using (no_grad())
                {
                    _returned = LadderKernel.Backward(a, call.Guard, call.Range, grad_output);
                }
            }
            catch (Exception exception)
            {
                // A gradient of an impossible shape makes libtorch fail the whole backward pass with an ordinary error.
                Trace.TraceError("The backward pass of a ladder failed: {0}", exception);
                _returned = empty(0);
            }
        }

        return [_returned, null!];
    }

    private sealed class Call(PoleGuard guard, LadderRange range, Tensor value, List<Tensor> saved)
    {
        private Tensor? _value = value;

        public PoleGuard Guard { get; } = guard;

        public LadderRange Range { get; } = range;

        public List<Tensor> Saved { get; } = saved;

        public Tensor TakeValue()
        {
            Tensor taken = _value!;
            _value = null;
            return taken;
        }
    }
}
