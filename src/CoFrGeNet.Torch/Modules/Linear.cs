using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A linear map y = W x + b with float32 master weights. With <see cref="ComputeType"/> set, the product runs in that type and the
/// gradient still arrives in float32.
/// </summary>
public sealed class Linear : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter? _bias;

    [ComponentName(Name = "lora")]
    private LoraAdapter? _lora;

    /// <summary>Creates the map.</summary>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the output.</param>
    /// <param name="bias">Whether there is a bias, 0 at first.</param>
    /// <param name="std">Standard deviation of the initial weights.</param>
    /// <param name="options">Where the parameters live.</param>
    public Linear(int inputs, int outputs, bool bias, double std, ModuleOptions options)
        : base(nameof(Linear))
    {
        _weight = new Parameter(options.Normal(std, outputs, inputs));
        _bias = bias ? new Parameter(options.Constant(0, outputs)) : null;
        RegisterComponents();
    }

    /// <summary>W, outputs x inputs.</summary>
    public Parameter Weight => _weight;

    /// <summary>b, or null.</summary>
    public Parameter? Bias => _bias;

    /// <summary>The type that the product runs in; null: the type of the weights.</summary>
    public ScalarType? ComputeType { get; set; }

    /// <summary>Whether the map is one into denominators of ladders: it keeps the type of its weights when a model computes in another, and is trained as it is where others get a low-rank addition.</summary>
    public bool IsExact { get; init; }

    /// <summary>Applies the map.</summary>
    /// <param name="x">[.., inputs].</param>
    /// <returns>[.., outputs], in the compute type.</returns>
    public override Tensor forward(Tensor x)
    {
        var y = Apply(x, _weight, _bias, ComputeType ?? _weight.dtype);
        return _lora is null ? y : _lora.AddTo(y, x);
    }

    /// <summary>y + W x + b as one product where that can be, without memory for the second term.</summary>
    /// <param name="y">[N, outputs], of which no backward pass needs the value; it is changed where its type is that of the product.</param>
    /// <param name="x">[N, inputs].</param>
    /// <returns>[N, outputs], in the wider type of y and the product.</returns>
    internal Tensor AddTo(Tensor y, Tensor x)
    {
        var type = ComputeType ?? _weight.dtype;
        using var scope = NewDisposeScope();
        if (_lora is null && _bias is null && y.dtype == type)
        {
            return y.addmm_(x.to(type), CompactWeight.Of(_weight, type).t(), beta: 1, alpha: 1).MoveToOuterDisposeScope();
        }

        return SumInPlace.Of(y, forward(x)).MoveToOuterDisposeScope();
    }

    /// <summary>The low-rank addition to W, or null.</summary>
    public LoraAdapter? Lora => _lora;

    /// <summary>Puts a low-rank addition in place, or takes it away.</summary>
    internal void Adapt(LoraAdapter? adapter)
    {
        register_module("lora", null!);
        _lora = adapter;
        if (adapter is not null)
        {
            register_module("lora", adapter);
        }
    }

    internal static Tensor Apply(Tensor x, Tensor weight, Tensor? bias, ScalarType type)
    {
        if (x.dtype == type && weight.dtype == type && bias is null)
        {
            return nn.functional.linear(x, weight);
        }

        using var scope = NewDisposeScope();
        var (input, map) = (x.to(type), CompactWeight.Of(weight, type));
        if (bias is null || x.dim() < 2)
        {
            return nn.functional.linear(input, map, bias?.to(type)).MoveToOuterDisposeScope();
        }

        // TorchSharp adds the bias within the product for two dimensions only, and in a pass of its own for more.
        return nn.functional.linear(input.flatten(0, -2), map, bias.to(type)).view([.. x.shape[..^1], map.shape[0]]).MoveToOuterDisposeScope();
    }
}
