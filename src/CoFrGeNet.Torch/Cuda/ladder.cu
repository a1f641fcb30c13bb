// Ladders on a CUDA device: the formulas of LadderCore. projected.cu, elementwise.cu and univariate.cu, each compiled with element.cu and this in front, are the
// passes of ProjectedLadders, ElementwiseLadders and CAttnU.
//
// Compiled at run time by NVRTC, once for each DEPTH (1 to 16), GUARD and ELEMENT, with no header, no fused multiply-adds but those written
// down, and exact division. No thread waits for another and no float is added atomically: sums over rows go through parts that a second
// kernel adds up in order, and what is shared (least, greatest, counts) does not depend on the order. So results are the same every time.
// The same text is compiled for the CPU by tests (tests/CoFrGeNet.Torch.Tests/Cuda), which run it thread by thread.
//
// Dimensions: N = rows (tokens), p = width, d = DEPTH, L = number of ladders, k = level (1 = outermost); x[k - 1] is level k.

#define CLAMP 0
#define SMOOTH 1
#define POSITIVE 2

// Cells that guarded denominators are counted in: threads that add to one and the same wait for each other.
#define COUNT_CELLS 256

#define NO_RANGE 0
#define WIDEN 1
#define CLIP 2

typedef unsigned long long Count;

// The structures below are laid out as CudaArguments.cs lays them out.

struct Constants
{
    float bound, start, epsilon, epsilonSquare, maxGradient;
    int saturatedLevels;
};

struct Tracking
{
    float* low;  // one range a ladder
    float* high;
    Count* guarded;  // [COUNT_CELLS]; null: poles are not counted
    float* minDenominator;
    float* maxOutput;
    Index rangeUse;
};

static __device__ __forceinline__ float least(float x, float y) { return x < y ? x : y; }

static __device__ __forceinline__ float greatest(float x, float y) { return x > y ? x : y; }

// max(x, 0) + log(1 + e), e = exp(-|x|) <= 1. What rounding took from 1 + e comes back to first order, so that tiny e keep all their bits.
static __device__ __forceinline__ float softplus(float x)
{
    float e = expf(-fabsf(x));
    float u = 1.0f + e;
    return greatest(0.0f, x) + fmaf(e - (u - 1.0f), 1.0f - e, logf(u));
}

// The partial denominator that the recurrence takes for a_k. In this order of operands a NaN passes through.
static __device__ __forceinline__ float denominator(float a, const Constants& c)
{
    float x = greatest(-c.bound, least(c.bound, a));
#if GUARD == POSITIVE
    return softplus(x) + c.epsilon;
#else
    return x;
#endif
}

// d of it / d a_k; 1 unless the guard changes a_k.
static __device__ __forceinline__ float denominator_slope(float a)
{
#if GUARD == POSITIVE
    float e = expf(-fabsf(a));
    return (a < 0.0f ? e : 1.0f) / (1.0f + e);
#else
    return 1.0f;
#endif
}

// Adding 0 turns -0 into +0, and no later continuant is -0 then: sgn(0) = +1 although the sign bit decides.
static __device__ __forceinline__ float first_continuant(float x, const Constants& c) { return fmaf(x, c.start, 0.0f); }

static __device__ __forceinline__ float guarded(float last, const Constants& c)
{
#if GUARD == CLAMP
    return copysignf(greatest(c.epsilon, fabsf(last)), last);
#else
    return last;
#endif
}

// f of the denominators x; last is K_d before the guard.
static __device__ __forceinline__ float ladder_value(const float* x, const Constants& c, float& last)
{
    float previous = c.start;
    float current = first_continuant(x[DEPTH - 1], c);
#pragma unroll
    for (int k = DEPTH - 2; k >= 0; k--)
    {
        float next = fmaf(x[k], current, previous);
        previous = current;
        current = next;
    }

    last = current;
#if GUARD == SMOOTH
    return previous * (current / fmaf(current, current, c.epsilonSquare));
#else
    return previous * (1.0f / guarded(current, c));
#endif
}

// f, and the derivatives df/dx_k for the denominators x (Continuant.Gradient: Proposition 1, or the smooth guard's closed form).
static __device__ __forceinline__ float ladder_gradient(const float* x, const Constants& c, float* derivatives)
{
    float continuants[DEPTH + 1];
    continuants[0] = c.start;
    continuants[1] = first_continuant(x[DEPTH - 1], c);
#pragma unroll
    for (int k = 2; k <= DEPTH; k++)
    {
        continuants[k] = fmaf(x[DEPTH - k], continuants[k - 1], continuants[k - 2]);
    }

    float last = continuants[DEPTH];
#if GUARD == SMOOTH
    float w = 1.0f / fmaf(last, last, c.epsilonSquare);
    float r = last * w;
    float v = c.epsilon * w;
    float q = (r - v) * (r + v);

    // y H_{k-2} and y H_{k-1} of round k.
    float y = 2.0f * (c.epsilon * v) * r;
    float previous = 0.0f;
    float current = 0.0f;
#pragma unroll
    for (int k = 1; k <= DEPTH; k++)
    {
        float head = continuants[DEPTH - k];
        float derivative = head * fmaf(head, (k & 1) != 0 ? -q : q, previous);
        if (k <= c.saturatedLevels)
        {
            // Infinite terms of opposite signs meet only where the derivative is beyond the type: no direction is left.
            derivative = greatest(-c.maxGradient, least(c.maxGradient, derivative));
            derivative = derivative != derivative ? 0.0f : derivative;
        }

        derivatives[k - 1] = derivative;
        if (k < DEPTH)
        {
            float next = k == 1 ? x[1] * y : fmaf(x[k], current, previous);
            previous = k == 1 ? y : current;
            current = next;
        }
    }

    return continuants[DEPTH - 1] * r;
#else
    float reciprocal = 1.0f / guarded(last, c);
#pragma unroll
    for (int k = 1; k <= DEPTH; k++)
    {
        float ratio = continuants[DEPTH - k] * reciprocal;
        float square = least(c.maxGradient, ratio * ratio);
        derivatives[k - 1] = (k & 1) != 0 ? -square : square;
    }

    return continuants[DEPTH - 1] * reciprocal;
#endif
}

// Floats of one sign are in the order of their bits as integers, those below 0 in the reverse order; -0 is taken for +0.
static __device__ __forceinline__ void lower(float* cell, float value)
{
    if (value < *(volatile float*)cell)
    {
        value = value + 0.0f;
        if (value >= 0.0f)
        {
            atomicMin((int*)cell, __float_as_int(value));
        }
        else
        {
            atomicMax((unsigned*)cell, (unsigned)__float_as_int(value));
        }
    }
}

static __device__ __forceinline__ void raise(float* cell, float value)
{
    if (value > *(volatile float*)cell)
    {
        value = value + 0.0f;
        if (value >= 0.0f)
        {
            atomicMax((int*)cell, __float_as_int(value));
        }
        else
        {
            atomicMin((unsigned*)cell, (unsigned)__float_as_int(value));
        }
    }
}

// What one thread has seen of the poles.
struct Poles
{
    Count guarded;
    int least;     // bits of the smallest |K_d|; a negative NaN, below all of them, once a K_d is NaN
    int greatest;  // bits of the largest |f|; a NaN, above all of them, once an f is NaN
};

static __device__ __forceinline__ Poles no_poles()
{
    Poles poles = {0, 0x7F800000, 0};
    return poles;
}

static __device__ __forceinline__ void see(Poles& poles, float value, float last, const Constants& c)
{
    float magnitude = fabsf(last);
    poles.guarded += magnitude < c.epsilon ? 1 : 0;
    int low = magnitude != magnitude ? (int)0xFFC00000 : __float_as_int(magnitude / c.start);
    int high = __float_as_int(fabsf(value));
    poles.least = low < poles.least ? low : poles.least;
    poles.greatest = high > poles.greatest ? high : poles.greatest;
}

static __device__ __forceinline__ void note(const Tracking& tracking, const Poles& poles)
{
    if (poles.guarded != 0)
    {
        atomicAdd(tracking.guarded + (blockIdx.x + threadIdx.x) % COUNT_CELLS, poles.guarded);
    }

    if (poles.least < *(volatile int*)tracking.minDenominator)
    {
        atomicMin((int*)tracking.minDenominator, poles.least);
    }

    if (poles.greatest > *(volatile int*)tracking.maxOutput)
    {
        atomicMax((int*)tracking.maxOutput, poles.greatest);
    }
}

// f, clipped to the ladder's range where it is not empty.
static __device__ __forceinline__ float clipped(float f, float low, float high)
{
    return low <= high ? greatest(low, least(high, f)) : f;
}
