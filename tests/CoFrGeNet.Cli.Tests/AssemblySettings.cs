// libtorch has one random generator a process, so runs beside each other would not be reproducible.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]
