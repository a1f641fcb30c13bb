using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CoFrGeNet.Simd;
using TorchSharp;

namespace CoFrGeNet.Cli;

/// <summary>What the machine can do at best, measured in the process that states a figure.</summary>
internal static unsafe class MachineLimits
{
    private const int Accumulators = 12;

    // Far beyond any cache; read and written, so twice this much memory.
    private const long CopyBytes = 256L << 20;

    /// <summary>
    /// Bytes read and written a second by a copy beyond the caches, on all threads: the best of several rounds, by the runtime's copy or by one that stores past
    /// the caches, whichever is faster here. A plain store reads its destination first, which is not counted.
    /// </summary>
    /// <param name="threads">Number of threads.</param>
    public static double CopyBandwidth(int threads)
    {
        var source = (byte*)NativeMemory.AlignedAlloc((nuint)CopyBytes, 4096);
        var target = (byte*)NativeMemory.AlignedAlloc((nuint)CopyBytes, 4096);
        try
        {
            NativeMemory.Fill(source, (nuint)CopyBytes, 1);
            var part = CopyBytes / threads / 4096 * 4096;
            var plain = Best(7, threads, thread => Buffer.MemoryCopy(source + (thread * part), target + (thread * part), part, part));
            var pastCaches = Best(7, threads, thread => CopyPastCaches((float*)(source + (thread * part)), (float*)(target + (thread * part)), part / sizeof(float)));
            return 2.0 * part * threads / Math.Min(plain, pastCaches);
        }
        finally
        {
            NativeMemory.AlignedFree(source);
            NativeMemory.AlignedFree(target);
        }
    }

    /// <summary>Bytes read a second by a plain loop beyond the caches, on all threads: the best of several rounds.</summary>
    /// <param name="threads">Number of threads.</param>
    /// <param name="rounds">Rounds.</param>
    public static double ReadBandwidth(int threads, int rounds = 7)
    {
        var memory = (byte*)NativeMemory.AlignedAlloc((nuint)CopyBytes, 4096);
        try
        {
            NativeMemory.Fill(memory, (nuint)CopyBytes, 1);
            var part = CopyBytes / threads / 4096 * 4096;
            var sinks = new float[threads * 16];
            return (double)part * threads / Best(rounds, threads, thread => sinks[thread * 16] = Read((float*)(memory + (thread * part)), part / sizeof(float)));
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    /// <summary>Bytes read and written a second by a copy in a CUDA device's memory: the best of several rounds.</summary>
    /// <param name="device">The device.</param>
    public static double CopyBandwidth(torch.Device device)
    {
        using var source = torch.zeros(CopyBytes, dtype: torch.ScalarType.Byte, device: device);
        using var target = torch.empty_like(source);
        return 2.0 * CopyBytes / Best(7, 1, _ =>
        {
            target.copy_(source);
            torch.cuda.synchronize();
        });
    }

    /// <summary>Float32 operations a second (a fused multiply-add is two) from registers alone, on all threads: the best of several rounds.</summary>
    /// <param name="threads">Number of threads.</param>
    public static double FusedMultiplyAddPeak(int threads)
    {
        const int steps = 1 << 20;
        var sinks = new float[threads * 16];
        void Loop(int thread) => sinks[thread * 16] = SimdWidths.Best switch
        {
            SimdWidth.Sixteen => MultiplyAddLoop<Lanes512>(steps),
            SimdWidth.Eight => MultiplyAddLoop<Lanes256>(steps),
            SimdWidth.Four => MultiplyAddLoop<Lanes128>(steps),
            _ => MultiplyAddLoop<LanesScalar>(steps),
        };
        return 2.0 * Accumulators * (int)SimdWidths.Best * steps * threads / Best(7, threads, Loop);
    }

    private static void CopyPastCaches(float* source, float* target, long count)
    {
        switch (SimdWidths.Best)
        {
            case SimdWidth.Sixteen: CopyLoop<Lanes512>(source, target, count); break;
            case SimdWidth.Eight: CopyLoop<Lanes256>(source, target, count); break;
            case SimdWidth.Four: CopyLoop<Lanes128>(source, target, count); break;
            default: CopyLoop<LanesScalar>(source, target, count); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyLoop<TLanes>(float* source, float* target, long count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        for (nint i = 0; i < count; i += TLanes.Count)
        {
            TLanes.StoreNonTemporal(TLanes.Load(source + i), target + i);
        }
    }

    private static float Read(float* memory, long count) => SimdWidths.Best switch
    {
        SimdWidth.Sixteen => ReadLoop<Lanes512>(memory, count),
        SimdWidth.Eight => ReadLoop<Lanes256>(memory, count),
        SimdWidth.Four => ReadLoop<Lanes128>(memory, count),
        _ => ReadLoop<LanesScalar>(memory, count),
    };

    // Four places at once, as many as keep the processor's own fetching ahead busy.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float ReadLoop<TLanes>(float* memory, long count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var quarter = (nint)(count / 4);
        TLanes a = default, b = default, c = default, d = default;
        for (nint i = 0; i < quarter; i += TLanes.Count)
        {
            a += TLanes.Load(memory + i);
            b += TLanes.Load(memory + quarter + i);
            c += TLanes.Load(memory + (2 * quarter) + i);
            d += TLanes.Load(memory + (3 * quarter) + i);
        }

        return TLanes.Sum(a + b + (c + d));
    }

    private static double Best(int rounds, int threads, Action<int> run)
    {
        var best = double.PositiveInfinity;
        for (var round = 0; round <= rounds; round++)
        {
            var start = Stopwatch.GetTimestamp();
            RowPartition.Run(threads, threads, run);
            best = round == 0 ? best : Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }

    // As many independent chains as hide the latency of the operation.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float MultiplyAddLoop<TLanes>(int steps)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes x = TLanes.Of(0.999f), y = TLanes.Of(0.001f);
        TLanes a = y, b = y, c = y, d = y, e = y, f = y, g = y, h = y, i = y, j = y, k = y, l = y;
        for (var step = 0; step < steps; step++)
        {
            a = TLanes.MultiplyAdd(a, x, y);
            b = TLanes.MultiplyAdd(b, x, y);
            c = TLanes.MultiplyAdd(c, x, y);
            d = TLanes.MultiplyAdd(d, x, y);
            e = TLanes.MultiplyAdd(e, x, y);
            f = TLanes.MultiplyAdd(f, x, y);
            g = TLanes.MultiplyAdd(g, x, y);
            h = TLanes.MultiplyAdd(h, x, y);
            i = TLanes.MultiplyAdd(i, x, y);
            j = TLanes.MultiplyAdd(j, x, y);
            k = TLanes.MultiplyAdd(k, x, y);
            l = TLanes.MultiplyAdd(l, x, y);
        }

        var lanes = stackalloc float[16];
        TLanes.Store(a + b + c + d + e + f + (g + h + i + j + k + l), lanes);
        return lanes[0];
    }
}
