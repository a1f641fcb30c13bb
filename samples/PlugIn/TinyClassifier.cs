using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace PlugIn;

/// <summary>A model of one's own: a TorchSharp user's module with a continued-fraction feed-forward inside.</summary>
internal sealed class TinyClassifier : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> _input = nn.Linear(2, 32);

    // The one line: where an MLP of width 32 stood, a Cffn stands now.
    private readonly Cffn _feedForward = new(32, ladders: 8, depth: 3);

    private readonly nn.Module<Tensor, Tensor> _output = nn.Linear(32, 2);

    public TinyClassifier()
        : base(nameof(TinyClassifier)) => RegisterComponents();

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var hidden = nn.functional.relu(_input.call(x));
        return _output.call(hidden + _feedForward.call(hidden)).MoveToOuterDisposeScope();
    }
}
