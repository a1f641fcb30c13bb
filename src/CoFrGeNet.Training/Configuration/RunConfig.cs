using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>Everything that determines a training run.</summary>
public sealed record RunConfig
{
    /// <summary>The model.</summary>
    public required ModelConfig Model { get; init; }

    /// <summary>The text.</summary>
    public DataConfig Data { get; init; } = new();

    /// <summary>How it is trained.</summary>
    public TrainingConfig Training { get; init; } = new();

    /// <summary>Checks every member of the tree.</summary>
    /// <returns>This configuration.</returns>
    /// <exception cref="UserErrorException">A member is out of range; the message names its path, its value and what is allowed.</exception>
    public RunConfig Validate()
    {
        Model.Validate();
        Data.Check(new ConfigCheck("data"));
        Training.Check(Model, new ConfigCheck("training"));
        return this;
    }
}
