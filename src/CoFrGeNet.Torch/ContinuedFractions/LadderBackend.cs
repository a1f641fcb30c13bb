namespace CoFrGeNet.Torch;

/// <summary>How ladders are computed.</summary>
public enum LadderBackend
{
    /// <summary>By fused kernels where there is one for the device and type (float32 and bfloat16, on the CPU and on CUDA), by tensor operations elsewhere.</summary>
    Fused,

    /// <summary>By tensor operations everywhere: to compare with, and should a kernel ever be in doubt.</summary>
    Composed,
}
