using System.Diagnostics;
using System.Runtime.InteropServices;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>
/// Kernels that are compiled when first needed, once a variant, and checked before they are used. Whatever fails is said once, as a warning to
/// <see cref="Trace"/>, and then the answer is null: tensor operations do the work.
/// </summary>
/// <param name="toolkit">NVIDIA's libraries, found at the first use.</param>
/// <param name="fallback">The warning, up to the reason.</param>
internal sealed class CudaKernels(Lazy<CudaToolkit> toolkit, string fallback)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(Type Kernels, object Variant), object?> _kernels = [];
    private readonly HashSet<string> _reported = [];

    /// <summary>NVIDIA's libraries.</summary>
    /// <exception cref="CudaException">One is missing or does not start.</exception>
    public CudaToolkit Toolkit => toolkit.Value;

    /// <summary>What has failed so far.</summary>
    public IReadOnlyCollection<string> Reported => _reported;

    /// <summary>Whether an error is one of NVIDIA's libraries, which tensor operations can make up for.</summary>
    public static bool IsFailure(Exception error) => error is CudaException or ExternalException;

    /// <summary>The kernels of a variant; null: there are none.</summary>
    /// <param name="variant">What they are compiled for.</param>
    /// <param name="compile">Compiles them.</param>
    /// <param name="check">Throws where they compute wrong.</param>
    public T? Get<T>(object variant, Func<CudaToolkit, T> compile, Action<T> check)
        where T : class
    {
        lock (_gate)
        {
            if (_kernels.TryGetValue((typeof(T), variant), out object? known))
            {
                return (T?)known;
            }

            T? kernels = null;
            try
            {
                T compiled = compile(Toolkit);
                check(compiled);
                kernels = compiled;
            }
            catch (Exception error) when (IsFailure(error))
            {
                Report(error.Message);
            }

            _kernels.Add((typeof(T), variant), kernels);
            return kernels;
        }
    }

    /// <summary>Runs kernels; null: a launch has failed, and they are not tried again.</summary>
    /// <param name="kernels">What <see cref="Get"/> gave.</param>
    /// <param name="like">A tensor on their device, for the warning.</param>
    /// <param name="run">Launches them.</param>
    public TResult? Run<TKernels, TResult>(TKernels kernels, Tensor like, Func<TResult> run)
        where TKernels : class
        where TResult : class
    {
        try
        {
            return run();
        }
        catch (CudaException error)
        {
            lock (_gate)
            {
                foreach (var key in _kernels.Where(entry => ReferenceEquals(entry.Value, kernels)).Select(entry => entry.Key).ToArray())
                {
                    _kernels[key] = null;
                }

                Report($"{error.Message}, on {like.device}");
            }

            return null;
        }
    }

    private void Report(string reason)
    {
        if (_reported.Add(reason))
        {
            Trace.TraceWarning("{0}: {1}", fallback, reason);
        }
    }
}
