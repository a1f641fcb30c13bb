namespace CoFrGeNet.Training;

/// <summary>What started the processes of a job.</summary>
public enum Launcher
{
    /// <summary>Nothing: this process is alone.</summary>
    None,

    /// <summary>Open MPI's mpirun.</summary>
    OpenMpi,

    /// <summary>Slurm's srun.</summary>
    Slurm,

    /// <summary>torchrun, or a script that sets RANK and WORLD_SIZE as it does.</summary>
    Torchrun,

    /// <summary>The mpirun of MPICH or of one of its descendants.</summary>
    Mpich,
}
