using CoFrGeNet.Configuration;

namespace CoFrGeNet.Evaluation;

/// <summary>Tasks that are reported together.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Alias">Its name in the results table.</param>
/// <param name="Version">Its version.</param>
/// <param name="Members">Names of tasks and groups in it.</param>
public sealed record TaskGroup(string Name, string Alias, string Version, IReadOnlyList<string> Members);

/// <summary>The tasks and groups by name.</summary>
public static class TaskLibrary
{
    private static readonly Dictionary<string, EvaluationTask> Tasks =
        StandardTasks.All.Concat(MmluTasks.All).Concat(BlimpTasks.All).Concat(CorpusTasks.All).ToDictionary(task => task.Name, StringComparer.Ordinal);

    private static readonly Dictionary<string, TaskGroup> Groups =
        MmluTasks.Groups.Concat(BlimpTasks.Groups).ToDictionary(group => group.Name, StringComparer.Ordinal);

    /// <summary>Names of tasks that are in no group, and of the outermost groups.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Tasks.Values.Where(task => task.Group is null).Select(task => task.Name), .. Groups.Keys.Where(name => !Groups.Values.Any(group => group.Members.Contains(name)))];

    /// <summary>Finds a task.</summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="UserErrorException">There is none of this name.</exception>
    public static EvaluationTask Get(string name) => Tasks.TryGetValue(name, out var task) ? task : throw Unknown(name);

    /// <summary>Finds a group.</summary>
    /// <param name="name">Its name.</param>
    /// <returns>The group, or null.</returns>
    public static TaskGroup? FindGroup(string name) => Groups.GetValueOrDefault(name);

    /// <summary>The tasks that names stand for, groups taken apart; each task once.</summary>
    /// <param name="names">Names of tasks and groups.</param>
    /// <exception cref="UserErrorException">A name is not known.</exception>
    public static IReadOnlyList<EvaluationTask> Resolve(IEnumerable<string> names) => [.. names.SelectMany(Leaves).DistinctBy(task => task.Name)];

    /// <summary>The tasks within a task or group.</summary>
    /// <param name="name">Its name.</param>
    public static IEnumerable<EvaluationTask> Leaves(string name) =>
        Groups.TryGetValue(name, out var group) ? group.Members.SelectMany(Leaves) : [Get(name)];

    private static UserErrorException Unknown(string name) =>
        new($"There is no task '{name}'; did you mean '{StrictJson.Nearest(name, Tasks.Keys.Concat(Groups.Keys))}'? Known are {string.Join(", ", Names)} and the members of the groups.");
}
