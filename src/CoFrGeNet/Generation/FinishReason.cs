using System.Text.Json.Serialization;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Generation;

/// <summary>Why a text ended, in the words of the OpenAI API: <c>stop</c> or <c>length</c>.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<FinishReason>))]
public enum FinishReason
{
    /// <summary>A stop text or the end-of-text token came.</summary>
    Stop,

    /// <summary>As many tokens as were asked for, or the context is full.</summary>
    Length,
}
