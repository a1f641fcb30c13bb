namespace CoFrGeNet.Training;

/// <summary>What this process updates of each parameter: all of it, or a part where several processes share the work.</summary>
public interface IParameterShares
{
    /// <summary>The elements that this process updates.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="parameter">The parameter.</param>
    /// <returns>The parameter itself, or a view [m] of a part of its elements; m may be 0.</returns>
    Tensor Values(string name, Parameter parameter);

    /// <summary>Their gradient.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <param name="parameter">The parameter.</param>
    /// <returns>Of the shape of <see cref="Values"/>; null: the parameter has none.</returns>
    Tensor? Gradient(string name, Parameter parameter);

    /// <summary>Makes sums over this process's elements into sums over all.</summary>
    /// <param name="sums">This process's.</param>
    /// <returns>The sums over all elements, equal bit by bit in all processes.</returns>
    double[] Total(double[] sums);
}
