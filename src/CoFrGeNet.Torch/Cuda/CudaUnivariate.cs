using System.Runtime.InteropServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

// Dimensions: B = batch, t = tokens, p = width, h = heads, m = inputs (1: both ensembles have the same, 2: one each), d = depth with the linear level.

/// <summary>The kernels of univariate.cu: the two ensembles of <see cref="CAttnU"/>, and the product of their sums over tokens.</summary>
internal sealed unsafe class CudaUnivariate
{
    private const int Threads = 128;

    private const int MostBlocksDown = 65535;

    private readonly CudaModule _module;
    private readonly nint _forward;
    private readonly nint _backward;
    private readonly nint _join;
    private readonly nint _joinBackward;

    /// <summary>Compiles and loads the kernels.</summary>
    /// <exception cref="CudaException">They do not compile or load.</exception>
    public CudaUnivariate(CudaToolkit toolkit, int device, Variant variant)
    {
        _module = new CudaModule(toolkit.Driver, toolkit.Compiler, device, variant.Definitions(device), CudaModule.Prelude, "univariate.cu");
        _forward = _module.Kernel("univariate_forward");
        _backward = _module.Kernel("univariate_backward");
        _join = _module.Kernel("join_forward");
        _joinBackward = _module.Kernel("join_backward");
    }

    /// <summary>Both ensembles, as factors of products over tokens: [2, h, t, B, p / h].</summary>
    /// <param name="x">[B, t, m, p], contiguous.</param>
    /// <param name="weights">float32 [d, 2, t], contiguous; the linear level first.</param>
    /// <param name="heads">h.</param>
    /// <param name="type">The type of the result.</param>
    /// <param name="guard">How poles are guarded.</param>
    /// <param name="statistics">Who counts poles; null: nobody.</param>
    /// <param name="outputs">Is widened in training and clips outside it, [t or more, 2]; null: none.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">The launch fails.</exception>
    public Tensor Forward(Tensor x, Tensor weights, long heads, ScalarType type, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs, nint stream)
    {
        using var scope = NewDisposeScope();
        long batch = x.size(0), length = x.size(1), width = x.size(3);
        Tensor y = empty([2, heads, length, batch, width / heads], dtype: type, device: x.device);
        if (y.numel() > 0)
        {
            var watch = new CudaWatch(statistics, outputs, x.device);
            UnivariateArguments arguments = Arguments(x, weights, heads, guard);
            arguments.Y = TensorMemory.Address(y);
            arguments.Tracking = watch.Tracking;
            _module.Launch(_forward, Grid(length, width), stream, arguments);
            watch.Finish(y.numel());
        }

        return y.MoveToOuterDisposeScope();
    }

    /// <summary>The gradients for x and the weights, from that for both ensembles, contiguous.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public (Tensor X, Tensor Weights) Backward(Tensor x, Tensor weights, long heads, PoleGuard guard, Tensor gradY, nint stream)
    {
        using var scope = NewDisposeScope();
        long length = x.size(1), width = x.size(3);
        Tensor gradX = empty(x.shape, dtype: x.dtype, device: x.device);
        Tensor parts = zeros([.. weights.shape, width], dtype: ScalarType.Float32, device: x.device);
        if (x.numel() > 0)
        {
            UnivariateArguments arguments = Arguments(x, weights, heads, guard);
            arguments.GradY = TensorMemory.Address(gradY);
            arguments.GradX = TensorMemory.Address(gradX);
            arguments.Parts = (float*)TensorMemory.Address(parts);
            _module.Launch(_backward, Grid(length, width), stream, arguments);
        }

        return (gradX.MoveToOuterDisposeScope(), parts.sum(-1).MoveToOuterDisposeScope());
    }

    /// <summary>The product of the ensembles' sums over tokens: [B, t, p] of [2, h, t, B, p / h].</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public Tensor Join(Tensor sums, nint stream)
    {
        Tensor product = empty([sums.size(3), sums.size(2), sums.size(1) * sums.size(4)], dtype: sums.dtype, device: sums.device);
        if (product.numel() > 0)
        {
            JoinArguments arguments = Arguments(sums);
            arguments.Product = TensorMemory.Address(product);
            _module.Launch(_join, Grid(arguments.Length, arguments.Width), stream, arguments);
        }

        return product;
    }

    /// <summary>The gradient for the sums, from that for their product, contiguous and of their type.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public Tensor JoinBackward(Tensor sums, Tensor gradProduct, nint stream)
    {
        Tensor gradSums = empty(sums.shape, dtype: sums.dtype, device: sums.device);
        if (gradSums.numel() > 0)
        {
            JoinArguments arguments = Arguments(sums);
            arguments.GradProduct = TensorMemory.Address(gradProduct);
            arguments.GradSums = TensorMemory.Address(gradSums);
            _module.Launch(_joinBackward, Grid(arguments.Length, arguments.Width), stream, arguments);
        }

        return gradSums;
    }

    /// <summary>Runs the kernels over small inputs and compares them with tensor operations on the CPU.</summary>
    /// <param name="variant">What they were compiled for.</param>
    /// <param name="guard">Any guard of their kind.</param>
    /// <param name="device">The device.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A result differs.</exception>
    public void Check(Variant variant, PoleGuard guard, Device device, nint stream)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        const int batch = 3, length = 5, width = 134, heads = 2;
        foreach (int inputs in new[] { 1, 2 })
        {
            Tensor x = Numbers(0.37, batch, length, inputs, width).to_type(variant.InputType);

            // Far from poles: all denominators are near one number.
            Tensor weights = Numbers(0.11, variant.Depth, 2, length).Times(0.1).Plus(0.4);
            x = x.Times(0.1).Plus(1);
            Tensor upstream = Numbers(0.71, batch, length, 2, width).to_type(variant.OutputType);
            Tensor there = x.to(device, copy: true), weightsThere = weights.to(device, copy: true);
            Tensor y = Forward(there, weightsThere, heads, variant.OutputType, guard, null, null, stream);
            (Tensor gradX, Tensor gradWeights) = Backward(there, weightsThere, heads, guard, Arranged(upstream, heads).to(device, copy: true), stream);
            Tensor product = Join(y, stream), gradProduct = upstream.select(2, 0).contiguous();
            Tensor gradSums = JoinBackward(y, gradProduct.to(device, copy: true), stream);

            Tensor wide = x.to_type(ScalarType.Float32), levels = weights.narrow(0, 1, variant.Depth - 1);
            Tensor linear = weights.select(0, 0).t().unsqueeze(-1);

            // [B, t, d - 1, 2, p], flat in the last two.
            Tensor a = (wide.unsqueeze(2) * levels.permute(2, 0, 1).unsqueeze(-1)).flatten(3);
            LadderRange range = LadderRange.For(variant.Depth - 1, 127, guard);
            Tensor expected = (wide * linear).Plus(ComposedLadders.Forward(a, guard, range, null).view(batch, length, 2, width));
            Tensor wideUpstream = upstream.to_type(ScalarType.Float32);
            Tensor gradA = ComposedLadders.Backward(a, guard, range, wideUpstream.flatten(2)).view(batch, length, variant.Depth - 1, 2, width);
            Tensor expectedX = (wideUpstream * linear).Plus((gradA * levels.permute(2, 0, 1).unsqueeze(-1)).sum(2));
            expectedX = inputs == 2 ? expectedX : expectedX.sum(2, keepdim: true);
            Tensor expectedWeights = cat([(wideUpstream * wide).sum([0, 3]).t().unsqueeze(0), (gradA * wide.unsqueeze(2)).sum([0, 4]).permute(1, 2, 0)]);
            CudaSelfCheck.Require(Arranged(expected.to_type(variant.OutputType), heads), y.cpu(), "ensembles");
            CudaSelfCheck.Require(expectedX.to_type(variant.InputType), gradX.cpu(), "gradients of ensembles");
            CudaSelfCheck.Require(expectedWeights, gradWeights.cpu(), "gradients of an ensemble's weights");

            Tensor sums = y.cpu();
            Tensor Whole(Tensor one) => one.permute(2, 1, 0, 3).reshape(batch, length, width);
            CudaSelfCheck.Require(Whole(sums[0] * sums[1]), product.cpu(), "products of ensembles");
            Tensor arranged = Arranged(stack([gradProduct, gradProduct], 2), heads);
            CudaSelfCheck.Require(stack([arranged[0] * sums[1], arranged[1] * sums[0]]), gradSums.cpu(), "gradients of products");
        }
    }

    /// <summary>[B, t, 2, p] as the kernels arrange it: [2, h, t, B, p / h].</summary>
    internal static Tensor Arranged(Tensor y, long heads) => y.view([.. y.shape[..3], heads, y.shape[3] / heads]).permute(2, 3, 1, 0, 4).contiguous();

    private static Tensor Numbers(double step, params long[] shape) =>
        HeldArithmetic.CountUp(shape.Aggregate(1L, (product, size) => product * size), ScalarType.Float32).Times(step).sin_().view(shape);

    private static CudaGrid Grid(long length, long width) => new((width + Threads - 1) / Threads, Math.Min(length, MostBlocksDown), Threads);

    private static UnivariateArguments Arguments(Tensor x, Tensor weights, long heads, PoleGuard guard) => new()
    {
        X = TensorMemory.Address(x),
        Weights = (float*)TensorMemory.Address(weights),
        Batch = x.size(0),
        Length = x.size(1),
        Inputs = x.size(2),
        Width = x.size(3),
        Heads = heads,
        Constants = CudaConstants.Of((int)weights.size(0) - 1, guard),
    };

    private static JoinArguments Arguments(Tensor sums) => new()
    {
        Sums = TensorMemory.Address(sums),
        Batch = sums.size(3),
        Length = sums.size(2),
        Width = sums.size(1) * sums.size(4),
        Heads = sums.size(1),
    };

    /// <summary>What the kernels are compiled for.</summary>
    /// <param name="Depth">d, the linear level included.</param>
    /// <param name="Guard">The kind of guard.</param>
    /// <param name="Input">The type of x.</param>
    /// <param name="Output">The type of the ensembles and of their product.</param>
    internal readonly record struct Variant(int Depth, Type Guard, ElementType Input, ElementType Output)
    {
        /// <summary>The type of x.</summary>
        public ScalarType InputType => Input == ElementType.Float32 ? ScalarType.Float32 : ScalarType.BFloat16;

        /// <summary>The type of the ensembles.</summary>
        public ScalarType OutputType => Output == ElementType.Float32 ? ScalarType.Float32 : ScalarType.BFloat16;

        /// <summary>The macros of the sources.</summary>
        public IEnumerable<(string Name, int Value)> Definitions(int device) =>
            new CudaVariant(device, Depth - 1, Guard, Output).Definitions.Append(("INPUT", Input == ElementType.Float32 ? 0 : 1));
    }

    // The structures of univariate.cu, member by member.
    [StructLayout(LayoutKind.Sequential)]
    internal struct UnivariateArguments
    {
        public void* X;
        public float* Weights;
        public void* Y, GradY, GradX;
        public float* Parts;
        public long Batch, Length, Inputs, Width, Heads;
        public CudaTracking Tracking;
        public CudaConstants Constants;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct JoinArguments
    {
        public void* Sums, Product, GradProduct, GradSums;
        public long Batch, Length, Width, Heads;
    }
}
