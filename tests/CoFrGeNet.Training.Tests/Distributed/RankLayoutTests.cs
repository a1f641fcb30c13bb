namespace CoFrGeNet.Training.Tests.Distributed;

public class RankLayoutTests
{
    [Theory]
    [InlineData("", 0, 1, 0, Launcher.None)]
    [InlineData("OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1", 3, 4, 1, Launcher.OpenMpi)]
    [InlineData("SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=8 SLURM_LOCALID=2", 5, 8, 2, Launcher.Slurm)]
    [InlineData("RANK=1 WORLD_SIZE=2 LOCAL_RANK=1", 1, 2, 1, Launcher.Torchrun)]
    [InlineData("PMI_RANK=1 PMI_SIZE=2", 1, 2, 0, Launcher.Mpich)]
    // srun starts Open MPI's processes through PMIx, and sets PMI's variables with some plug-ins too: it is Slurm all the same.
    [InlineData("PMI_RANK=1 PMI_SIZE=2 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 SLURM_LOCALID=0", 1, 2, 0, Launcher.Slurm)]
    // A batch script sees the allocation's number of tasks, and is alone.
    [InlineData("SLURM_PROCID=0 SLURM_NTASKS=8", 0, 1, 0, Launcher.None)]
    [InlineData("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1", 0, 1, 0, Launcher.None)]
    [InlineData("RANK=2", 0, 1, 0, Launcher.None)]
    public void The_launchers_variables_give_the_layout(string variables, int rank, int size, int localRank, Launcher launcher) =>
        Assert.Equal(new RankLayout(rank, size, localRank, launcher), RankLayout.FromEnvironment(Variables(variables)));

    [Theory]
    [InlineData("OMPI_COMM_WORLD_RANK=x OMPI_COMM_WORLD_SIZE=4", "OMPI_COMM_WORLD_RANK is 'x'")]
    [InlineData("RANK=0 WORLD_SIZE=-2", "WORLD_SIZE is '-2'")]
    [InlineData("RANK=4 WORLD_SIZE=4", "allowed is a rank below the size")]
    public void Variables_that_make_no_sense_are_named(string variables, string message) =>
        Assert.Contains(message, Assert.Throws<UserErrorException>(() => RankLayout.FromEnvironment(Variables(variables))).Message, StringComparison.Ordinal);

    [Fact]
    public void The_number_of_ranks_on_a_host_is_known_from_Open_MPI() => Assert.Equal(
        2, RankLayout.FromEnvironment(Variables("OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_SIZE=2")).LocalSize);

    [Theory]
    [InlineData(Launcher.Mpich, "only Open MPI is supported")]
    [InlineData(Launcher.Torchrun, "mpirun -n 2")]
    public void Launchers_without_Open_MPI_are_refused_with_what_to_do(Launcher launcher, string message) =>
        Assert.Contains(message, Assert.Throws<UserErrorException>(() => RankGroup.Join(new RankLayout(0, 2, 0, launcher))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_machine_without_NCCL_is_told_what_is_missing()
    {
        Assert.SkipWhen(System.Runtime.InteropServices.NativeLibrary.TryLoad("libnccl.so.2", out _), "NCCL is installed here");
        Assert.Contains("libnccl.so.2 cannot be loaded", Assert.Throws<UserErrorException>(NcclLibrary.RequireLoaded).Message, StringComparison.Ordinal);
    }

    private static Func<string, string?> Variables(string text)
    {
        var all = text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        return name => all.GetValueOrDefault(name);
    }
}
