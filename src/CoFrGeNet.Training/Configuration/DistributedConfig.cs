using System.Text.Json.Serialization;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>What each of several processes holds a part of instead of a copy.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<Sharding>))]
public enum Sharding
{
    /// <summary>Nothing: weights, gradients and optimizer state are whole everywhere.</summary>
    None,

    /// <summary>The optimizer's state and the work of its step (ZeRO-1, Rajbhandari et al. 2020).</summary>
    Optimizer,
}

/// <summary>How several processes train together; in a single process it changes nothing.</summary>
public sealed record DistributedConfig
{
    /// <summary>What each process holds a part of.</summary>
    public Sharding Sharding { get; init; } = Sharding.None;

    /// <summary>Gradients are sent in blocks of about so many MiB; small ones wait for company, large parameters are one block.</summary>
    public double BucketMegabytes { get; init; } = 25;

    /// <summary>Seconds that a process waits for the others before it gives up and says who is missing; longer than the longest checkpoint takes.</summary>
    public double TimeoutSeconds { get; init; } = 300;

    internal void Check(ConfigCheck at)
    {
        at.Above(BucketMegabytes, 0, "bucketMegabytes");
        at.Between(BucketMegabytes, 0, 4096, "bucketMegabytes");
        at.Between(TimeoutSeconds, 1, 86400, "timeoutSeconds");
    }
}
