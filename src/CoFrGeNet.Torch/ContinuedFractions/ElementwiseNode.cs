using System.Diagnostics;
using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>The node of the autograd graph behind <see cref="ElementwiseFunction"/>; see <see cref="LadderNode"/> for the habits of TorchSharp that it makes up for.</summary>
internal sealed class ElementwiseNode : autograd.SingleTensorFunction<ElementwiseNode>
{
    private const string CallKey = "call";

    // As in LadderNode: libtorch reads returned gradients only after backward has returned.
    [ThreadStatic]
    private static Tensor[]? _returned;

    /// <inheritdoc/>
    public override string Name => "ElementwiseLadders";

    /// <summary>Releases the gradients that the last backward pass on this thread returned.</summary>
    public static void ReleaseReturned()
    {
        foreach (Tensor gradient in _returned ?? [])
        {
            gradient.Dispose();
        }

        _returned = null;
    }

    /// <summary>Makes <paramref name="value"/>, computed without a graph, a function of the inputs g, w, V and perhaps b; takes over value.</summary>
    public static Tensor Attach(Tensor[] inputs, PoleGuard guard, Tensor value)
    {
        using (value)
        {
            List<Tensor> saved = [.. inputs];
            Tensor result = apply([.. inputs, new Call(guard, value, saved)]);

            // The native side holds the inputs from here on; the list would keep their wrappers alive as long as the graph.
            saved.Clear();
            return result;
        }
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var call = (Call)vars[^1];
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
            var call = (Call)ctx.get_data(CallKey);
            IReadOnlyList<Tensor> inputs = [.. ctx.get_saved_variables()];
            try
            {
                using (no_grad())
                {
                    _returned = ElementwiseFunction.Backward(inputs, call.Guard, grad_output);
                }
            }
            catch (Exception exception)
            {
                // A gradient of an impossible shape makes libtorch fail the whole backward pass with an ordinary error.
                Trace.TraceError("The backward pass of elementwise ladders failed: {0}", exception);
                _returned = [.. inputs.Select(_ => empty(0))];
            }

            foreach (Tensor input in inputs)
            {
                input.Dispose();
            }
        }

        return [.. _returned, null!];
    }

    private sealed class Call(PoleGuard guard, Tensor value, List<Tensor> saved)
    {
        private Tensor? _value = value;

        public PoleGuard Guard { get; } = guard;

        public List<Tensor> Saved { get; } = saved;

        public Tensor TakeValue()
        {
            Tensor taken = _value!;
            _value = null;
            return taken;
        }
    }
}
