using System.Runtime.Intrinsics;
using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

/// <summary>All kernels in one register width, behind one call that costs little next to what is done in it.</summary>
internal abstract unsafe class EngineKernels
{
    /// <summary>Rows of activations are padded to this many float32 values, a register of any width.</summary>
    public const int RowAlignment = 16;

    /// <summary>The kernels of the widest registers that this processor has.</summary>
    public static EngineKernels Best { get; } = Of(SimdWidths.Best);

    /// <summary>Outputs of a tile of <see cref="MultiplyRows"/>.</summary>
    public const int RowTileOutputs = 8;

    /// <summary>Rows of a tile of <see cref="PackBlock"/> and <see cref="MultiplyBlock"/>.</summary>
    public const int BlockTileRows = 12;

    /// <summary>Outputs of a tile of <see cref="MultiplyBlock"/>.</summary>
    public abstract int BlockTileOutputs { get; }

    /// <summary>The kernels of a width.</summary>
    /// <param name="width">The width; it need not be one that this processor has.</param>
    public static EngineKernels Of(SimdWidth width) => width switch
    {
        SimdWidth.Sixteen => new EngineKernels<Lanes512>(),
        SimdWidth.Eight => new EngineKernels<Lanes256>(),
        SimdWidth.Four => new EngineKernels<Lanes128>(),
        _ => new EngineKernels<LanesScalar>(),
    };

    /// <summary>A width in whole registers.</summary>
    /// <param name="width">Number of values.</param>
    public static int Padded(int width) => (width + RowAlignment - 1) / RowAlignment * RowAlignment;

    /// <summary>Whether <see cref="MultiplyRows"/> takes rows for weights of a type not as they are, but as <see cref="Prepare"/> makes them.</summary>
    /// <param name="type">The weights' type.</param>
    public abstract bool Prepares(WeightType type);

    /// <summary>Prepares a row.</summary>
    /// <param name="type">The weights' type.</param>
    /// <param name="x">The row.</param>
    /// <param name="inputs">Its width.</param>
    /// <param name="prepared">Receives as many bytes as the row has, at most.</param>
    /// <returns>What it is counted in.</returns>
    public abstract float Prepare(WeightType type, float* x, int inputs, float* prepared);

    /// <inheritdoc cref="RowProduct{TDot, TSum, TX}.Run"/>
    public abstract void MultiplyRows(in ProductCall call, int first, int end);

    /// <inheritdoc cref="BlockProduct{TLanes}.Pack"/>
    public abstract void PackBlock(in ProductCall call, int tile, float* packed);

    /// <inheritdoc cref="BlockProduct{TLanes}.Run"/>
    public abstract void MultiplyBlock(in ProductCall call, float* packed, int tile, float* room);

    /// <inheritdoc cref="BlockProduct{TLanes}.PanelFloats"/>
    public abstract int PanelFloats(int inputs);

    /// <inheritdoc cref="AttentionKernel{TLanes}.Run"/>
    public abstract void Attend(in AttentionCall call, int first, int count);

    /// <summary>Channels at once of <see cref="MixTriangles"/>.</summary>
    public abstract int TriangleChannels { get; }

    /// <inheritdoc cref="TriangleKernel{TLanes}.Run"/>
    public abstract void MixTriangles(in TriangleCall call, int first, int count, int channel);

    /// <inheritdoc cref="RowMath{TLanes}.LayerNorm"/>
    public abstract void LayerNorm(float* x, int width, float* weight, float* bias, float epsilon, float* y);

    /// <inheritdoc cref="RowMath{TLanes}.RmsNorm"/>
    public abstract void RmsNorm(float* x, int width, float* weight, float epsilon, float* y);

    /// <inheritdoc cref="RowMath{TLanes}.Gelu"/>
    public abstract void Gelu(float* x, int width);

    /// <inheritdoc cref="RowMath{TLanes}.Relu"/>
    public abstract void Relu(float* x, int width);

    /// <summary>gate = x SiLU(gate) or x sigmoid(gate).</summary>
    public abstract void Gate(GateKind kind, float* gate, float* x, int width);

    /// <inheritdoc cref="RowMath{TLanes}.Add"/>
    public abstract void Add(float* x, int width, float* y);

    /// <inheritdoc cref="RowMath{TLanes}.Rotate"/>
    public abstract void Rotate(float* x, int half, float* cos, float* sin);

    /// <inheritdoc cref="LadderMath{TLanes, TGuard}.Projected"/>
    public abstract void Ladders(in LadderConstants constants, float* a, int stride, int ladders, float* low, float* high, float* z);

    /// <inheritdoc cref="LadderMath{TLanes, TGuard}.Elementwise"/>
    public abstract void ElementwiseLadders(in LadderConstants constants, in ElementwiseParameters weights, float* g, float* y);

    /// <inheritdoc cref="LadderMath{TLanes, TGuard}.Univariate"/>
    public abstract void UnivariateLadders(in LadderConstants constants, float* x, int width, float* weights, float low, float high, float* y);
}

/// <summary>The kernels of one width.</summary>
internal sealed unsafe class EngineKernels<TLanes> : EngineKernels
    where TLanes : unmanaged, ILanes<TLanes>
{
    public override int BlockTileOutputs => BlockProduct<TLanes>.TileOutputs;

    public override int TriangleChannels => TriangleKernel<TLanes>.Channels;

    private static bool IsWhole => typeof(TLanes) == typeof(Lanes512) && WholeDot.IsSupported;

    public override bool Prepares(WeightType type) => type == WeightType.BFloat16 || (type == WeightType.Int8 && IsWhole);

    public override float Prepare(WeightType type, float* x, int inputs, float* prepared)
    {
        if (type == WeightType.Int8)
        {
            return WholeDot.Round(x, inputs, (short*)prepared);
        }

        BFloat16Dot<TLanes>.Split(x, inputs, prepared);
        return 1;
    }

    public override void MultiplyRows(in ProductCall call, int first, int end)
    {
        switch (call.Matrix.Type)
        {
            case WeightType.Float32: RowProduct<Float32Dot<TLanes>, TLanes, TLanes>.Run(call, first, end); break;
            case WeightType.BFloat16: RowProduct<BFloat16Dot<TLanes>, TLanes, TLanes>.Run(call, first, end); break;
            case WeightType.Int8 when IsWhole: RowProduct<WholeDot, Vector512<int>, Vector512<short>>.Run(call, first, end); break;
            case WeightType.Int8: RowProduct<Int8Dot<TLanes>, TLanes, TLanes>.Run(call, first, end); break;
            default: Int4Product<TLanes>.Run(call, first, end); break;
        }
    }

    public override void PackBlock(in ProductCall call, int tile, float* packed) => BlockProduct<TLanes>.Pack(call, tile, packed);

    public override void MultiplyBlock(in ProductCall call, float* packed, int tile, float* room) => BlockProduct<TLanes>.Run(call, packed, tile, room);

    public override int PanelFloats(int inputs) => BlockProduct<TLanes>.PanelFloats(inputs);

    public override void Attend(in AttentionCall call, int first, int count) => AttentionKernel<TLanes>.Run(call, first, count);

    public override void MixTriangles(in TriangleCall call, int first, int count, int channel) => TriangleKernel<TLanes>.Run(call, first, count, channel);

    public override void LayerNorm(float* x, int width, float* weight, float* bias, float epsilon, float* y) =>
        RowMath<TLanes>.LayerNorm(x, width, weight, bias, epsilon, y);

    public override void RmsNorm(float* x, int width, float* weight, float epsilon, float* y) => RowMath<TLanes>.RmsNorm(x, width, weight, epsilon, y);

    public override void Gelu(float* x, int width) => RowMath<TLanes>.Gelu(x, width);

    public override void Relu(float* x, int width) => RowMath<TLanes>.Relu(x, width);

    public override void Gate(GateKind kind, float* gate, float* x, int width)
    {
        if (kind == GateKind.Silu)
        {
            RowMath<TLanes>.GateBySilu(gate, x, width);
        }
        else
        {
            RowMath<TLanes>.GateBySigmoid(gate, x, width);
        }
    }

    public override void Add(float* x, int width, float* y) => RowMath<TLanes>.Add(x, width, y);

    public override void Rotate(float* x, int half, float* cos, float* sin) => RowMath<TLanes>.Rotate(x, half, cos, sin);

    public override void Ladders(in LadderConstants constants, float* a, int stride, int ladders, float* low, float* high, float* z)
    {
        switch (constants.Guard)
        {
            case ClampGuard: LadderMath<TLanes, ClampKind>.Projected(constants, a, stride, ladders, low, high, z); break;
            case SmoothGuard: LadderMath<TLanes, SmoothKind>.Projected(constants, a, stride, ladders, low, high, z); break;
            default: LadderMath<TLanes, PositiveKind>.Projected(constants, a, stride, ladders, low, high, z); break;
        }
    }

    public override void ElementwiseLadders(in LadderConstants constants, in ElementwiseParameters weights, float* g, float* y)
    {
        switch (constants.Guard)
        {
            case ClampGuard: LadderMath<TLanes, ClampKind>.Elementwise(constants, weights, g, y); break;
            case SmoothGuard: LadderMath<TLanes, SmoothKind>.Elementwise(constants, weights, g, y); break;
            default: LadderMath<TLanes, PositiveKind>.Elementwise(constants, weights, g, y); break;
        }
    }

    public override void UnivariateLadders(in LadderConstants constants, float* x, int width, float* weights, float low, float high, float* y)
    {
        switch (constants.Guard)
        {
            case ClampGuard: LadderMath<TLanes, ClampKind>.Univariate(constants, x, width, weights, low, high, y); break;
            case SmoothGuard: LadderMath<TLanes, SmoothKind>.Univariate(constants, x, width, weights, low, high, y); break;
            default: LadderMath<TLanes, PositiveKind>.Univariate(constants, x, width, weights, low, high, y); break;
        }
    }
}
