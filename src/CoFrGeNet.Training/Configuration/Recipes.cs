using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>Named sets of settings that go over a preset or a file: how ladders are guarded and trained, not how many there are.</summary>
public static class Recipes
{
    /// <summary>Changes nothing: what this project measured to train well stands in the defaults.</summary>
    public const string Default = "default";

    /// <summary>
    /// What the paper says, to the letter: K_d clamped at 0.01, no bias, outputs clipped to the trained range at test time, levels trained by the dyadic schedule, the same
    /// learning rate and decay (0.1) for ladders as for all else, no clipping by component or ladder. What its text leaves open (initial values, the gate, learning rates of
    /// small models) stays as it is.
    /// </summary>
    public const string Paper = "paper";

    /// <summary>Every name that <see cref="Apply"/> knows.</summary>
    public static IReadOnlyList<string> Names { get; } = [Default, Paper];

    /// <summary>Puts a recipe over a run's configuration.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="root">The configuration <c>{ model, training? }</c>, which is changed.</param>
    /// <exception cref="UserErrorException">There is no such recipe.</exception>
    public static void Apply(string name, JsonObject root)
    {
        ArgumentNullException.ThrowIfNull(root);
        if (!Names.Contains(name))
        {
            throw new UserErrorException($"recipe is '{name}'; did you mean '{StrictJson.Nearest(name, Names)}'? Allowed are {string.Join(", ", Names)}.");
        }

        if (name == Default)
        {
            return;
        }

        var blocks = ((root["model"] as JsonObject)?["blocks"] as JsonArray)?.OfType<JsonObject>().ToArray() ?? [];
        if (blocks.Any(block => block["mixer"] is JsonObject mixer && (string?)mixer["type"] == "cattnu" && (bool?)mixer["relativePositions"] == true)
            && !blocks.Any(block => block["mixer"] is JsonObject mixer && mixer["rotary"] is JsonObject))
        {
            // To do without any embedding of positions is a deviation of ours.
            root["model"]!["learnedPositions"] = true;
        }

        foreach (var block in blocks)
        {
            ApplyToPart(block["mixer"] as JsonObject);
            ApplyToPart(block["feedForward"] as JsonObject);
        }

        if (root["training"] is not JsonObject training)
        {
            root["training"] = training = [];
        }

        training["ladderSchedule"] = "dyadic";
        training["ladderLearningRateShare"] = 1;
        training["ladderClipNorm"] = 0;
        training["componentClipNorm"] = 0;
        training["weightDecay"] = 0.1;
        training.Remove("ladderWeightDecay");
    }

    private static void ApplyToPart(JsonObject? part)
    {
        if (part?["ladders"] is JsonObject ladders)
        {
            ladders["guard"] = Clamp();
            ladders["clipToTrainedRange"] = true;
            ladders.Remove("bias");
            ladders.Remove("normalizeOutputs");
            if ((string?)ladders["kind"] == "elementwise" && (bool?)part["linearOnGated"] != false)
            {
                // The paper's ladders are projected. Those on the ungated input are the public re-implementation's reading, which was asked for as such.
                ladders.Remove("kind");
                ladders.Remove("weightStd");
                ladders.Remove("outputStd");
            }

            part.Remove("relativePositions");
        }
        else if ((string?)part?["type"] == "cattnu")
        {
            part["guard"] = Clamp();
            part["clipToTrainedRange"] = true;
            part.Remove("relativePositions");
            part.Remove("heads");
            part.Remove("inputMaps");
            part.Remove("forgetGates");
            part.Remove("inputBias");
        }
    }

    private static JsonObject Clamp() => new() { ["type"] = "clamp", ["epsilon"] = 0.01 };
}
