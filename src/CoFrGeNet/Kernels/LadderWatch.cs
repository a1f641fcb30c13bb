using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>Gathers for one piece of the work what <see cref="LadderTracking"/> asks for.</summary>
internal unsafe ref struct LadderWatch<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    private readonly LadderTracking _tracking;
    private readonly int _first;
    private readonly int _count;
    private readonly int _groups;
    private readonly TLanes _epsilon;

    // Each group takes whole registers, so that its last partial one can be read and written whole.
    private readonly int _groupStride;
    private readonly float[] _low;
    private readonly float[] _high;
    private long _guarded;
    private TLanes _minDenominator;
    private TLanes _maxOutput;

    /// <summary>A watch over ladders first .. first + count - 1 of each of some groups of equal size.</summary>
    public LadderWatch(LadderTracking tracking, in LadderConstants constants, int first, int count, int groups = 1)
    {
        _tracking = tracking;
        _first = first;
        _count = count;
        _groups = groups;
        _groupStride = (count + TLanes.Count - 1) / TLanes.Count * TLanes.Count;
        _epsilon = TLanes.Of(constants.Epsilon);
        int length = tracking.RangeUse == RangeUse.None ? 0 : groups * _groupStride;
        _low = GC.AllocateUninitializedArray<float>(length, pinned: true);
        _high = GC.AllocateUninitializedArray<float>(length, pinned: true);
        _minDenominator = TLanes.Of(float.PositiveInfinity);
        _maxOutput = TLanes.Of(0);
        if (tracking.RangeUse == RangeUse.Clip)
        {
            FillBounds();
        }
        else
        {
            Array.Fill(_low, float.PositiveInfinity);
            Array.Fill(_high, float.NegativeInfinity);
        }
    }

    /// <summary>The lower ends of a register of ladders of a group, counted from this piece's first.</summary>
    public readonly float* Low(int group, int ladder) =>
        (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_low)) + (group * _groupStride) + ladder;

    /// <summary>The upper ends of the same.</summary>
    public readonly float* High(int group, int ladder) =>
        (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_high)) + (group * _groupStride) + ladder;

    /// <summary>Notes the values f and denominators K_d of some neighbouring ladders; returns f, clipped if that is asked for.</summary>
    /// <param name="value">f.</param>
    /// <param name="last">K_d before the guard.</param>
    /// <param name="group">Their group.</param>
    /// <param name="ladder">The first ladder of the group, counted from this piece's first.</param>
    /// <param name="lanes">How many of the lanes are ladders; the others repeat one of these.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TLanes See(TLanes value, TLanes last, int group, int ladder, int lanes)
    {
        if (_tracking.CountsPoles)
        {
            Count(value, last, lanes);
        }

        if (_tracking.RangeUse == RangeUse.None)
        {
            return value;
        }

        float* low = Low(group, ladder);
        float* high = High(group, ladder);
        if (_tracking.RangeUse == RangeUse.Clip)
        {
            return TLanes.Max(TLanes.Load(low), TLanes.Min(TLanes.Load(high), value));
        }

        // In this order of operands a NaN widens nothing.
        TLanes.Store(TLanes.Min(value, TLanes.Load(low)), low);
        TLanes.Store(TLanes.Max(value, TLanes.Load(high)), high);
        return value;
    }

    /// <summary>Hands everything over.</summary>
    public readonly void Finish()
    {
        if (_tracking.CountsPoles)
        {
            float* lanes = stackalloc float[TLanes.Count * 2];
            TLanes.Store(_minDenominator, lanes);
            TLanes.Store(_maxOutput, lanes + TLanes.Count);
            (float min, float max) = (float.PositiveInfinity, 0);
            for (int i = 0; i < TLanes.Count; i++)
            {
                (min, max) = (MathF.Min(min, lanes[i]), MathF.Max(max, lanes[TLanes.Count + i]));
            }

            _tracking.Add(_guarded, min, max);
        }

        if (_tracking.RangeUse == RangeUse.Widen)
        {
            for (int group = 0; group < _groups; group++)
            {
                _tracking.Widen((group * _tracking.GroupSize) + _first, _count, Low(group, 0), High(group, 0));
            }
        }
    }

    private readonly void FillBounds()
    {
        for (int group = 0; group < _groups; group++)
        {
            for (int j = 0; j < _groupStride; j++)
            {
                int ladder = (group * _tracking.GroupSize) + _first + Math.Min(j, _count - 1);

                // An empty range clips nothing.
                bool isSeen = _tracking.Low[ladder] <= _tracking.High[ladder];
                Low(group, 0)[j] = isSeen ? _tracking.Low[ladder] : float.NegativeInfinity;
                High(group, 0)[j] = isSeen ? _tracking.High[ladder] : float.PositiveInfinity;
            }
        }
    }

    private void Count(TLanes value, TLanes last, int lanes)
    {
        TLanes magnitude = TLanes.Abs(last);
        _guarded += TLanes.CountLess(magnitude, _epsilon, lanes);
        _minDenominator = TLanes.MinOrNaN(_minDenominator, magnitude);
        _maxOutput = TLanes.MaxOrNaN(_maxOutput, TLanes.Abs(value));
    }
}
