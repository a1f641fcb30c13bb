using System.Numerics;

namespace CoFrGeNet.Configuration;

/// <summary>Range checks that know where in the configuration they stand, so that the one-line error can name the member.</summary>
public sealed class ConfigCheck
{
    private readonly Func<string, string> _nameOf;

    /// <summary>Starts at a member.</summary>
    /// <param name="path">The path of the record whose members are checked, for example <c>model</c>.</param>
    public ConfigCheck(string path)
        : this(member => $"{path}.{member}")
    {
    }

    /// <summary>Starts where members go by names of their own, for example as options of a command line.</summary>
    /// <param name="nameOf">What the user calls a member, by its JSON name.</param>
    public ConfigCheck(Func<string, string> nameOf) => _nameOf = nameOf;

    /// <summary>The checks for a record one level down.</summary>
    /// <param name="member">The member's JSON name.</param>
    public ConfigCheck Under(string member) => new(_nameOf(member));

    /// <summary>Requires value &gt;= least.</summary>
    /// <typeparam name="T">A number.</typeparam>
    /// <param name="value">The value given.</param>
    /// <param name="least">The least value allowed.</param>
    /// <param name="member">The member's JSON name.</param>
    /// <exception cref="UserErrorException">The value is out of range.</exception>
    public void AtLeast<T>(T value, T least, string member)
        where T : INumber<T> => That(value >= least && T.IsFinite(value), member, $"{value}", $"{least} or more");

    /// <summary>Requires value &gt; bound.</summary>
    /// <param name="value">The value given.</param>
    /// <param name="bound">The bound that it must exceed.</param>
    /// <param name="member">The member's JSON name.</param>
    /// <exception cref="UserErrorException">The value is out of range.</exception>
    public void Above(double value, double bound, string member) =>
        That(value > bound && double.IsFinite(value), member, $"{value}", $"a number above {bound}");

    /// <summary>Requires least &lt;= value &lt;= most.</summary>
    /// <typeparam name="T">A number.</typeparam>
    /// <param name="value">The value given.</param>
    /// <param name="least">The least value allowed.</param>
    /// <param name="most">The greatest value allowed.</param>
    /// <param name="member">The member's JSON name.</param>
    /// <exception cref="UserErrorException">The value is out of range.</exception>
    public void Between<T>(T value, T least, T most, string member)
        where T : INumber<T> => That(value >= least && value <= most, member, $"{value}", $"{least} to {most}");

    /// <summary>Requires a condition.</summary>
    /// <param name="holds">The condition.</param>
    /// <param name="member">The member's JSON name.</param>
    /// <param name="given">What was given, for the message.</param>
    /// <param name="allowed">What is allowed, for the message.</param>
    /// <exception cref="UserErrorException">The condition does not hold.</exception>
    public void That(bool holds, string member, string given, string allowed)
    {
        if (!holds)
        {
            throw new UserErrorException($"{_nameOf(member)} is {given}; allowed is {allowed}.");
        }
    }
}
