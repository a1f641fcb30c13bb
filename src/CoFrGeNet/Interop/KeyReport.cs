using System.Text.Json.Serialization;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Interop;

/// <summary>What a conversion did with a tensor of its input.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<KeyOutcome>))]
public enum KeyOutcome
{
    /// <summary>Its values are in the output.</summary>
    Mapped,

    /// <summary>It is known not to be needed.</summary>
    Ignored,

    /// <summary>It is not known; nothing is written then.</summary>
    Refused,
}

/// <summary>One tensor of the input and what became of it.</summary>
/// <param name="Key">Its name in the input.</param>
/// <param name="Outcome">What was done with it.</param>
/// <param name="To">The tensors of the output that hold its values.</param>
/// <param name="Reason">Why it was ignored or refused.</param>
public sealed record KeyReport(string Key, KeyOutcome Outcome, IReadOnlyList<string> To, string? Reason);
