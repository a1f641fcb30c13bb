namespace CoFrGeNet.Training;

/// <summary>All of every parameter.</summary>
internal sealed class WholeParameters : IParameterShares
{
    private WholeParameters()
    {
    }

    /// <summary>The only one.</summary>
    public static WholeParameters Instance { get; } = new();

    /// <inheritdoc/>
    public Tensor Values(string name, Parameter parameter) => parameter;

    /// <inheritdoc/>
    public Tensor? Gradient(string name, Parameter parameter) => parameter.grad;

    /// <inheritdoc/>
    public double[] Total(double[] sums) => sums;
}
