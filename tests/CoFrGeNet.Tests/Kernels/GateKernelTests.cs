using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Tests.Kernels;

public sealed unsafe class GateKernelTests
{
    public static TheoryData<GateKind, int, int> Cases
    {
        get
        {
            var data = new TheoryData<GateKind, int, int>();
            foreach (var kind in Enum.GetValues<GateKind>().Where(kind => kind is GateKind.Silu or GateKind.Sigmoid))
            {
                foreach (var width in new[] { 1, 4, 8, 16 })
                {
                    foreach (var count in new[] { 0, 1, 15, 16, 33, 40_003 })
                    {
                        data.Add(kind, width, count);
                    }
                }
            }

            return data;
        }
    }

    // Each buffer ends at a forbidden page: a read or write behind the last element ends the test process.
    [Theory]
    [MemberData(nameof(Cases))]
    public void Values_and_gradients_equal_their_formulas_in_float64(GateKind kind, int width, int count)
    {
        using GuardedMemory x = Filled(count, 1), gate = Filled(count, 2), upstream = Filled(count, 3), y = new(4L * count, true), gradX = new(4L * count, true), gradGate = new(4L * count, true);
        var lanes = KernelSamples.Width(width);
        GateKernel.Forward(kind, (float*)x.Pointer, gate.Pointer, ElementType.Float32, (float*)y.Pointer, count, 2, lanes);
        GateKernel.Backward(kind, (float*)x.Pointer, gate.Pointer, ElementType.Float32, (float*)upstream.Pointer, (float*)gradX.Pointer, gradGate.Pointer, count, 2, lanes);
        for (var i = 0; i < count; i++)
        {
            double g = gate.Floats[i], sigma = 1 / (1 + Math.Exp(-g));
            var value = kind == GateKind.Silu ? g * sigma : sigma;
            var slope = kind == GateKind.Silu ? sigma * (1 + (g * (1 - sigma))) : sigma * (1 - sigma);

            // A few roundings of float32 each; 1 - sigma loses what sigma has lost.
            Near(x.Floats[i] * value, y.Floats[i]);
            Near(upstream.Floats[i] * value, gradX.Floats[i]);
            Near(upstream.Floats[i] * x.Floats[i] * slope, gradGate.Floats[i]);
        }
    }

    [Fact]
    public void Gates_in_bfloat16_are_computed_in_float32()
    {
        const int count = 37;
        float[] x = new float[count], y = new float[count], wide = new float[count];
        ushort[] gate = new ushort[count];
        float[] gateWide = new float[count];
        KernelSamples.Fill(x, 1, withHard: false);
        for (var i = 0; i < count; i++)
        {
            gate[i] = (ushort)(BitConverter.SingleToUInt32Bits((i - 18) * 0.37f) >> 16);
            gateWide[i] = BitConverter.UInt32BitsToSingle((uint)gate[i] << 16);
        }

        fixed (float* a = x, b = y, c = wide, d = gateWide)
        fixed (ushort* e = gate)
        {
            GateKernel.Forward(GateKind.Silu, a, e, ElementType.BFloat16, b, count, 1);
            GateKernel.Forward(GateKind.Silu, a, d, ElementType.Float32, c, count, 1);
        }

        Assert.Equal(wide, y);
    }

    [Fact]
    public void Large_gates_open_and_close_fully()
    {
        float[] x = [2, 2, 2, 2], gate = [200, -200, float.MaxValue, -1e30f], y = new float[4];
        fixed (float* a = x, b = gate, c = y)
        {
            GateKernel.Forward(GateKind.Silu, a, b, ElementType.Float32, c, 3, 1);
            Assert.Equal([400f, -0f, float.PositiveInfinity, 0], y);
            GateKernel.Forward(GateKind.Sigmoid, a, b, ElementType.Float32, c, 4, 1);
            Assert.Equal([2f, 0, 2, 0], y);
        }
    }

    private static GuardedMemory Filled(int count, int seed)
    {
        var memory = new GuardedMemory(4L * count, isAtEnd: true);
        KernelSamples.Fill(memory.Floats, seed, withHard: false);
        return memory;
    }

    private static void Near(double expected, float actual) => Assert.Equal(expected, actual, 1e-6 * (1 + Math.Abs(expected)));
}
