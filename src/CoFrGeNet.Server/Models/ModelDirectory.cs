namespace CoFrGeNet.Server;

/// <summary>The models that are served, by name.</summary>
internal sealed class ModelDirectory : IDisposable
{
    private readonly Dictionary<string, ModelHost> _hosts;

    /// <summary>Starts serving models.</summary>
    public ModelDirectory(IReadOnlyList<ServedModel> models, ServerOptions options, ServerMetrics metrics, ILogger<ModelDirectory> log)
    {
        All = [.. models.Select(model => new ModelHost(model, options, metrics, log))];
        _hosts = All.ToDictionary(host => host.Name, StringComparer.Ordinal);
        metrics.Watch(All.ToDictionary(host => host.Name, host => host.Scheduler));
    }

    /// <summary>All models, in the order in which they were given.</summary>
    public IReadOnlyList<ModelHost> All { get; }

    /// <summary>Finds a model.</summary>
    /// <param name="name">Its name; may be absent where there is only one.</param>
    /// <exception cref="ApiException">There is none of this name.</exception>
    public ModelHost Find(string? name)
    {
        if (string.IsNullOrEmpty(name))
        {
            return All.Count == 1 ? All[0] : throw ApiException.Invalid("model", $"The member 'model' is missing; allowed are {Names}.");
        }

        return _hosts.GetValueOrDefault(name)
            ?? throw new ApiException(StatusCodes.Status404NotFound, $"There is no model '{(name.Length > 100 ? name[..100] + ".." : name)}'; allowed are {Names}.", "model_not_found", "model");
    }

    /// <summary>Finds a model, or the first one where no name is given, as clients of the tokenizer's addresses do.</summary>
    /// <param name="name">Its name, or null.</param>
    /// <exception cref="ApiException">There is none of this name.</exception>
    public ModelHost FindOrFirst(string? name) => string.IsNullOrEmpty(name) ? All[0] : Find(name);

    /// <summary>Ends all requests.</summary>
    /// <param name="error">What they are told.</param>
    public void Stop(Exception error)
    {
        foreach (var host in All)
        {
            host.Scheduler.Stop(error);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var host in All)
        {
            host.Dispose();
        }
    }

    private string Names => string.Join(", ", All.Select(host => host.Name));
}
