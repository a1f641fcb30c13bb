using System.Text.Json.Serialization;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Data;

/// <summary>How ids lie in files; all little-endian.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<TokenLayout>))]
public enum TokenLayout
{
    /// <summary>
    /// llm.c's shards, also those of fineweb: 1024 bytes of header (256 32-bit integers: magic number, version, number of tokens), then the ids, two bytes each
    /// (magic 20240520, version 1) or four (20240801, version 7). The mark stands before each document.
    /// </summary>
    Llmc,

    /// <summary>nanoGPT's files: ids alone, without a header. The mark stands after each document.</summary>
    NanoGpt,
}
