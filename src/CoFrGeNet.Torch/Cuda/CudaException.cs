namespace CoFrGeNet.Torch.Cuda;

/// <summary>CUDA kernels cannot be compiled or run; the message is one line that says why.</summary>
internal sealed class CudaException : Exception
{
    public CudaException()
    {
    }

    public CudaException(string message)
        : base(message)
    {
    }

    public CudaException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
