using System.Text.Json;
using System.Text.Json.Serialization;

namespace CoFrGeNet.Configuration;

/// <summary>Writes an enum as its name in camelCase, as all members of the configuration are.</summary>
/// <typeparam name="TEnum">The enum.</typeparam>
public sealed class CamelCaseEnumConverter<TEnum> : JsonStringEnumConverter<TEnum>
    where TEnum : struct, Enum
{
    /// <summary>Creates the converter.</summary>
    public CamelCaseEnumConverter()
        : base(JsonNamingPolicy.CamelCase, allowIntegerValues: false)
    {
    }
}
