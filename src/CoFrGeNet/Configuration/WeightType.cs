using System.Text.Json.Serialization;

namespace CoFrGeNet.Configuration;

/// <summary>How the matrices of a model folder are stored.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<WeightType>))]
public enum WeightType
{
    /// <summary>float32.</summary>
    Float32,

    /// <summary>bfloat16.</summary>
    BFloat16,

    /// <summary>Signed bytes and a float32 scale for each output.</summary>
    Int8,

    /// <summary>In feed-forwards 4 bits and a bfloat16 scale for each block of inputs; where inputs do not fill blocks, and in everything else, <see cref="Int8"/>.</summary>
    Int4,
}
