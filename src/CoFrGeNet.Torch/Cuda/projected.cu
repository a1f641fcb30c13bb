// Ladders on given partial denominators, forward and backward in one pass over memory each; ladder.cu stands in front.
//
// Dimensions: N = rows (tokens), d = DEPTH, L = number of ladders.

struct Projected
{
    const Element* a;
    const Element* gradF;
    Element* f;
    Element* gradA;
    Index rows, ladders, rowStride, levelStride, gradRowStride, gradLevelStride, chunkRows, tileWidth;
    Tracking tracking;
    Constants constants;
};

// A block covers tileWidth neighbouring ladders, a power of two, and as many rows at once as threads remain.
extern "C" __global__ void projected_forward(const Projected p)
{
    Index j = (Index)blockIdx.x * p.tileWidth + threadIdx.x % (unsigned)p.tileWidth;
    if (j >= p.ladders)
    {
        return;
    }

    Index step = blockDim.x / (unsigned)p.tileWidth;
    Index end = (blockIdx.y + (Index)1) * p.chunkRows;
    end = end < p.rows ? end : p.rows;
    float lowest = __int_as_float(0x7F800000);
    float highest = -lowest;
    Poles poles = no_poles();
    for (Index row = blockIdx.y * p.chunkRows + threadIdx.x / (unsigned)p.tileWidth; row < end; row += step)
    {
        const Element* a = p.a + row * p.rowStride + j;
        float x[DEPTH];
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
        {
            x[k] = denominator(load(a + k * p.levelStride), p.constants);
        }

        float last;
        float f = ladder_value(x, p.constants, last);
        if (p.tracking.guarded != nullptr)
        {
            see(poles, f, last, p.constants);
        }

        if (p.tracking.rangeUse == CLIP)
        {
            f = clipped(f, p.tracking.low[j], p.tracking.high[j]);
        }

        lowest = least(f, lowest);
        highest = greatest(f, highest);
        store(f, p.f + row * p.ladders + j);
    }

    if (p.tracking.rangeUse == WIDEN)
    {
        lower(p.tracking.low + j, lowest);
        raise(p.tracking.high + j, highest);
    }

    if (p.tracking.guarded != nullptr)
    {
        note(p.tracking, poles);
    }
}

extern "C" __global__ void projected_backward(const Projected p)
{
    Index j = (Index)blockIdx.x * p.tileWidth + threadIdx.x % (unsigned)p.tileWidth;
    if (j >= p.ladders)
    {
        return;
    }

    Index step = blockDim.x / (unsigned)p.tileWidth;
    Index end = (blockIdx.y + (Index)1) * p.chunkRows;
    end = end < p.rows ? end : p.rows;
    for (Index row = blockIdx.y * p.chunkRows + threadIdx.x / (unsigned)p.tileWidth; row < end; row += step)
    {
        const Element* a = p.a + row * p.rowStride + j;
        Element* gradA = p.gradA + row * p.gradRowStride + j;
        float x[DEPTH], slopes[DEPTH], derivatives[DEPTH];
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
        {
            float value = load(a + k * p.levelStride);
            x[k] = denominator(value, p.constants);
            slopes[k] = denominator_slope(value);
        }

        ladder_gradient(x, p.constants, derivatives);
        float g = load(p.gradF + row * p.ladders + j);
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
        {
            store(derivatives[k] * g * slopes[k], gradA + k * p.gradLevelStride);
        }
    }
}
