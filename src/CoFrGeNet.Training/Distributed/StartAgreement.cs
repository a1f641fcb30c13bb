using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Torch;

namespace CoFrGeNet.Training;

/// <summary>Checks before a training that all ranks are about to do the same: the same code, configuration and text.</summary>
public static class StartAgreement
{
    private const char Separator = '\u001f';

    /// <summary>Compares what determines the run on all ranks.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="config">This rank's configuration.</param>
    /// <param name="data">This rank's text.</param>
    /// <param name="device">The kind of device that it computes on, such as cpu.</param>
    /// <exception cref="UserErrorException">On the first rank, if they differ; one line names what, where and how.</exception>
    /// <exception cref="RankLeftException">On the others.</exception>
    public static void Require(RankGroup ranks, RunConfig config, TextData data, string device)
    {
        if (ranks.Size == 1)
        {
            return;
        }

        var own = Facts(config, data, device);
        var all = ranks.Gather(string.Join('\n', own.Select(fact => $"{fact.Name}{Separator}{fact.Value}"))).Select(Parse).ToArray();
        if (Difference(all) is var (rank, name, first, other))
        {
            throw ranks.Agreed(new UserErrorException(
                $"The ranks are not about to do the same: {name} is {first} on {ranks.Describe(0)} and {other} on {ranks.Describe(rank)}; give all of them the same program, configuration and text."));
        }
    }

    /// <summary>What must be equal, by name.</summary>
    internal static IReadOnlyList<(string Name, string Value)> Facts(RunConfig config, TextData data, string device) =>
    [
        // Module ids follow the sources, which a version number does not before a release.
        ("the program", string.Join('+', new[] { typeof(UserErrorException), typeof(LanguageModel), typeof(Trainer) }.Select(type => $"{type.Module.ModuleVersionId:N}"[..12]))),
        ("TorchSharp", $"{typeof(TorchSharp.torch).Assembly.GetName().Version}"),
        ("the device", device),
        ("the training text (hash)", data.Fingerprint),
        ("the validation text (hash)", data.Validation.Fingerprint),
        .. Leaves(JsonSerializer.SerializeToNode(config, TrainingJsonContext.Default.RunConfig), string.Empty),
    ];

    /// <summary>The first fact in which a rank differs from the first one, or null.</summary>
    internal static (int Rank, string Name, string First, string Other)? Difference(IReadOnlyList<IReadOnlyDictionary<string, string>> all)
    {
        for (var rank = 1; rank < all.Count; rank++)
        {
            foreach (var name in all[0].Keys.Union(all[rank].Keys))
            {
                string Value(int of) => all[of].GetValueOrDefault(name, "absent");
                if (Value(0) != Value(rank))
                {
                    return (rank, name, Value(0), Value(rank));
                }
            }
        }

        return null;
    }

    private static Dictionary<string, string> Parse(string text) =>
        text.Split('\n').Select(line => line.Split(Separator)).ToDictionary(parts => parts[0], parts => parts[1]);

    private static IEnumerable<(string Name, string Value)> Leaves(JsonNode? node, string path) => node switch
    {
        JsonObject members => members.SelectMany(member => Leaves(member.Value, path.Length == 0 ? member.Key : $"{path}.{member.Key}")),
        JsonArray items => items.SelectMany((item, i) => Leaves(item, $"{path}[{i}]")),
        _ => [(path, node?.ToJsonString() ?? "null")],
    };
}
