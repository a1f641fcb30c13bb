using System.Text.Json.Nodes;

namespace CoFrGeNet.Training;

/// <summary>A study with the configuration of every run resolved and checked.</summary>
public sealed class StudyPlan
{
    private readonly Dictionary<string, RunConfig> _configs = [];

    /// <summary>Resolves the arms of a study.</summary>
    /// <param name="path">The study's file.</param>
    /// <param name="overrides">Overrides for all arms, of the form <c>path.to.member=value</c>; they win over the file.</param>
    /// <exception cref="UserErrorException">The file or an arm is not valid, or the arms are not comparable.</exception>
    public StudyPlan(string path, IReadOnlyList<string> overrides)
    {
        Name = Path.GetFileNameWithoutExtension(path);
        Config = StudyConfig.Load(path);
        foreach (var arm in Config.Arms)
        {
            _configs[arm.Name] = Resolve(arm, Path.GetDirectoryName(Path.GetFullPath(path))!, overrides);
        }

        RequireSameData();
    }

    /// <summary>Its name: that of its file.</summary>
    public string Name { get; }

    /// <summary>The study.</summary>
    public StudyConfig Config { get; }

    /// <summary>The first seed, which the learning rates are tried with.</summary>
    public int FirstSeed => Config.Seeds[0];

    /// <summary>The text, the same for all arms.</summary>
    public DataConfig Data => _configs[Config.Arms[0].Name].Data;

    /// <summary>Training tokens that a run sees.</summary>
    public long Tokens => (long)Steps * _configs[Config.Arms[0].Name].Training.TokensPerStep;

    /// <summary>Optimizer steps of a run.</summary>
    public int Steps => _configs[Config.Arms[0].Name].Training.Steps;

    /// <summary>Runs of a complete study.</summary>
    public int RunCount => Config.Arms.Count * (Config.LearningRates.Count + Config.Seeds.Count - 1);

    /// <summary>The configuration of an arm, with its own learning rate and seed.</summary>
    /// <param name="arm">The arm's name.</param>
    public RunConfig ConfigOf(string arm) => _configs[arm];

    /// <summary>The configuration of one run.</summary>
    /// <param name="key">Arm, seed and learning rate.</param>
    public RunConfig ConfigOf(StudyRunKey key)
    {
        var config = _configs[key.Arm];
        return config with { Training = config.Training with { LearningRate = key.LearningRate, Seed = key.Seed } };
    }

    /// <summary>
    /// The runs that are known to be needed, in their order: first the grid, rate by rate, with the first seed; then, for arms whose grid is complete, the other
    /// seeds one by one at the best rate.
    /// </summary>
    /// <param name="bestRate">The best learning rate of an arm, or null while its grid is not complete.</param>
    /// <param name="only">Names of the arms that are run; empty: all.</param>
    public IEnumerable<StudyRunKey> Runs(Func<string, double?> bestRate, IReadOnlyCollection<string> only)
    {
        var arms = Config.Arms.Where(arm => only.Count == 0 || only.Contains(arm.Name)).Select(arm => arm.Name).ToArray();
        foreach (var rate in Config.LearningRates)
        {
            foreach (var arm in arms)
            {
                yield return new StudyRunKey(arm, FirstSeed, rate);
            }
        }

        foreach (var seed in Config.Seeds.Skip(1))
        {
            foreach (var arm in arms)
            {
                if (bestRate(arm) is { } best)
                {
                    yield return new StudyRunKey(arm, seed, best);
                }
            }
        }
    }

    private RunConfig Resolve(StudyArm arm, string folder, IReadOnlyList<string> overrides)
    {
        var root = (JsonObject)Config.Common.DeepClone();
        if (arm.Config is { } file)
        {
            root = RunConfigSource.Merge(root, RunConfigSource.ReadFile(Path.Combine(folder, file)));
        }

        var own = new JsonObject { ["model"] = arm.Model?.DeepClone(), ["training"] = arm.Training?.DeepClone(), ["preset"] = arm.Preset, ["recipe"] = arm.Recipe };
        foreach (var absent in own.Where(member => member.Value is null).Select(member => member.Key).ToArray())
        {
            own.Remove(absent);
        }

        try
        {
            var config = new RunConfigSource { Text = RunConfigSource.Merge(root, own).ToJsonString(), Overrides = [.. arm.Set, .. overrides] }.Resolve().Config;
            return Scale(config).Validate();
        }
        catch (UserErrorException e)
        {
            throw new UserErrorException($"Arm {arm.Name}: {e.Message}", e);
        }
    }

    private RunConfig Scale(RunConfig config)
    {
        var steps = checked((int)((Config.Tokens + config.Training.TokensPerStep - 1) / config.Training.TokensPerStep));
        return config with
        {
            Training = config.Training with
            {
                Steps = steps,
                LearningRate = Config.LearningRates[0],
                Seed = FirstSeed,
                EvaluateEvery = Math.Max(1, (steps + Config.Evaluations - 1) / Config.Evaluations),
                CheckpointEvery = Math.Max(1, (steps + 3) / 4),
                KeepCheckpoints = 1,
                KeepBestCheckpoint = false,
                LogEvery = Math.Clamp(steps / 200, 1, 10),
            },
        };
    }

    private void RequireSameData()
    {
        var first = Config.Arms[0].Name;
        foreach (var arm in Config.Arms)
        {
            RunConfig one = _configs[first], other = _configs[arm.Name];
            var same = one.Data == other.Data && one.Training.TokensPerStep == other.Training.TokensPerStep
                && one.Training.ResolveSequenceLength(one.Model) == other.Training.ResolveSequenceLength(other.Model)
                && one.Training.EvaluationTokens == other.Training.EvaluationTokens;
            if (!same)
            {
                throw new UserErrorException(
                    $"Arms {first} and {arm.Name} differ in data, training.tokensPerStep, training.sequenceLength or training.evaluationTokens, so they would not see the same tokens; give these in 'common'.");
            }
        }
    }
}

/// <summary>What tells the runs of a study apart.</summary>
/// <param name="Arm">The arm's name.</param>
/// <param name="Seed">Seed of weights and data order.</param>
/// <param name="LearningRate">Peak learning rate.</param>
public sealed record StudyRunKey(string Arm, int Seed, double LearningRate)
{
    /// <summary>Name of the run's folder.</summary>
    public override string ToString() => FormattableString.Invariant($"{Arm}-lr{LearningRate:R}-seed{Seed}");
}
