using System.Globalization;

namespace CoFrGeNet.Training;

/// <summary>Which of how many processes this one is, as whatever started them says through environment variables.</summary>
/// <param name="Rank">Its number, from 0.</param>
/// <param name="Size">How many there are.</param>
/// <param name="LocalRank">Its number among those of the same host, from 0; chooses its GPU.</param>
/// <param name="Launcher">What started them.</param>
public sealed record RankLayout(int Rank, int Size, int LocalRank, Launcher Launcher)
{
    private const string LocalSizeVariable = "OMPI_COMM_WORLD_LOCAL_SIZE";

    private static readonly (Launcher Launcher, string Rank, string Size, string LocalRank)[] Known =
    [
        (Launcher.OpenMpi, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
        // The step's number of tasks: SLURM_NTASKS is that of the whole allocation, which a batch script sees too.
        (Launcher.Slurm, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
        (Launcher.Mpich, "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
        (Launcher.Torchrun, "RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ];

    /// <summary>How many of them are on this host; 1 where the launcher does not say.</summary>
    public int LocalSize { get; init; } = 1;

    /// <summary>One process alone.</summary>
    public static RankLayout Single { get; } = new(0, 1, 0, Launcher.None);

    /// <summary>Reads the layout; the first launcher of Open MPI, Slurm, MPICH and torchrun whose variables are set counts.</summary>
    /// <param name="variable">Gives a variable's value; null: those of the process.</param>
    /// <exception cref="UserErrorException">A variable is no number, or the rank is not below the size.</exception>
    public static RankLayout FromEnvironment(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        foreach (var known in Known)
        {
            if (variable(known.Rank) is not { Length: > 0 } rank || variable(known.Size) is not { Length: > 0 } size)
            {
                continue;
            }

            var layout = new RankLayout(
                Number(known.Rank, rank), Number(known.Size, size), variable(known.LocalRank) is { Length: > 0 } local ? Number(known.LocalRank, local) : 0, known.Launcher)
            {
                LocalSize = known.Launcher == Launcher.OpenMpi && variable(LocalSizeVariable) is { Length: > 0 } localSize ? Number(LocalSizeVariable, localSize) : 1,
            };
            return layout.Size <= 1 ? Single : layout.Rank < layout.Size
                ? layout
                : throw new UserErrorException($"{known.Rank} is {rank} and {known.Size} is {size}; allowed is a rank below the size. Unset both to train in one process.");
        }

        return Single;
    }

    private static int Number(string name, string value) => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw new UserErrorException($"The environment variable {name} is '{value}'; allowed is a number from 0. Unset it to train in one process.");
}
