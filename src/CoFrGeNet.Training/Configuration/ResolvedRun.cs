namespace CoFrGeNet.Training;

/// <summary>A run's configuration with everything filled in.</summary>
/// <param name="Name">Name of the run: that of its preset, else of its file.</param>
/// <param name="Config">The validated configuration.</param>
public sealed record ResolvedRun(string Name, RunConfig Config);
