using System.CommandLine;
using System.ComponentModel;
using System.Globalization;
using System.Text.Json;

namespace CoFrGeNet.Cli;

/// <summary>Options that an environment variable sets where they are not given: <c>--max-tokens</c> is COFRGENET_MAX_TOKENS.</summary>
internal static class VariableOption
{
    private const string Prefix = "COFRGENET_";

    /// <summary>Creates an option.</summary>
    /// <typeparam name="T">A number, a text or a truth value.</typeparam>
    /// <param name="name">What is typed, for example <c>--port</c>.</param>
    /// <param name="description">What it does.</param>
    /// <param name="placeholder">What stands for its value in the help; null: it takes none.</param>
    /// <param name="initial">Its value where neither option nor variable is given.</param>
    public static Option<T> Create<T>(string name, string description, string? placeholder, T initial)
    {
        var option = new Option<T>(name) { Description = $"{description} [{Variable(name)}]", DefaultValueFactory = _ => Read(name, initial) };
        if (placeholder is not null)
        {
            option.HelpName = placeholder;
        }

        return option;
    }

    /// <summary>Creates an option that may be given several times; in the variable, values are separated by commas.</summary>
    /// <param name="name">What is typed.</param>
    /// <param name="description">What it does.</param>
    /// <param name="placeholder">What stands for its value in the help.</param>
    public static Option<string[]> CreateList(string name, string description, string placeholder) => new(name)
    {
        Description = $"{description} [{Variable(name)}]",
        HelpName = placeholder,
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(Variable(name))?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [],
    };

    /// <summary>The variable of an option.</summary>
    /// <param name="name">What is typed.</param>
    public static string Variable(string name) => Prefix + JsonNamingPolicy.SnakeCaseUpper.ConvertName(name.TrimStart('-').Replace('-', '_'));

    private static T Read<T>(string name, T initial)
    {
        if (Environment.GetEnvironmentVariable(Variable(name)) is not { Length: > 0 } text)
        {
            return initial;
        }

        try
        {
            return (T)TypeDescriptor.GetConverter(typeof(T)).ConvertFromString(null, CultureInfo.InvariantCulture, text)!;
        }
        catch (Exception error) when (error is ArgumentException or FormatException or NotSupportedException or OverflowException)
        {
            throw new UserErrorException($"{Variable(name)} is '{text}'; allowed is {(typeof(T) == typeof(bool) ? "true or false" : "a number")}.", error);
        }
    }
}
