// Elementwise ladders straight from their input, summed: y = sum over l of V_l f(w_l1 g + b_l1, ..); ladder.cu stands in front.
//
// Dimensions: N = rows (tokens), p = width, d = DEPTH, L = number of ladders.

// Rows that a thread holds in registers, so that it reads each weight once for all of them.
#define ROWS 8

struct Elementwise
{
    const Element* g;
    const float* levels;   // [d, L, p]
    const float* biases;   // [d, L, p]; null: none
    const float* combine;  // [L, p]
    const float* gradY;
    float* y;
    Element* gradG;
    float* parts;  // [chunks, rows of parameters, p]
    float* gradLevels;
    float* gradBiases;
    float* gradCombine;
    Index rows, width, ladders, chunkRows, chunks;
    Tracking tracking;
    Constants constants;
};

// The weights of ladder l at a column, and its biases, 0 where there are none.
static __device__ __forceinline__ void load_weights(const Elementwise& p, Index l, Index column, float* w, float* b)
{
#pragma unroll
    for (int k = 0; k < DEPTH; k++)
    {
        Index at = (k * p.ladders + l) * p.width + column;
        w[k] = p.levels[at];
        b[k] = p.biases == nullptr ? 0.0f : p.biases[at];
    }
}

// Adds ladder l of a column to y of ROWS rows from the first, and notes what is tracked.
static __device__ __forceinline__ void add_ladder(const Elementwise& p, Index l, Index column, Index first, const float* g, float* y, Poles& poles)
{
    float w[DEPTH], b[DEPTH];
    load_weights(p, l, column, w, b);
    Index at = l * p.width + column;
    float v = p.combine[at];
    float lowest = __int_as_float(0x7F800000);
    float highest = -lowest;
#pragma unroll
    for (int r = 0; r < ROWS; r++)
    {
        float x[DEPTH];
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
        {
            x[k] = denominator(w[k] * g[r] + b[k], p.constants);
        }

        float last;
        float f = ladder_value(x, p.constants, last);
        if (first + r < p.rows)
        {
            if (p.tracking.guarded != nullptr)
            {
                see(poles, f, last, p.constants);
            }

            lowest = least(f, lowest);
            highest = greatest(f, highest);
        }

        if (p.tracking.rangeUse == CLIP)
        {
            f = clipped(f, p.tracking.low[at], p.tracking.high[at]);
        }

        y[r] = fmaf(v, f, y[r]);
    }

    if (p.tracking.rangeUse == WIDEN)
    {
        lower(p.tracking.low + at, lowest);
        raise(p.tracking.high + at, highest);
    }
}

// A thread is a column; it takes ROWS rows at a time.
extern "C" __global__ void elementwise_forward(const Elementwise p)
{
    Index column = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= p.width)
    {
        return;
    }

    Poles poles = no_poles();
    for (Index first = (Index)blockIdx.y * ROWS; first < p.rows; first += (Index)gridDim.y * ROWS)
    {
        float g[ROWS], y[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++)
        {
            g[r] = first + r < p.rows ? load(p.g + (first + r) * p.width + column) : 0.0f;
            y[r] = 0.0f;
        }

        for (Index l = 0; l < p.ladders; l++)
        {
            add_ladder(p, l, column, first, g, y, poles);
        }

#pragma unroll
        for (int r = 0; r < ROWS; r++)
        {
            if (first + r < p.rows)
            {
                p.y[(first + r) * p.width + column] = y[r];
            }
        }
    }

    if (p.tracking.guarded != nullptr)
    {
        note(p.tracking, poles);
    }
}

// Adds to a part, or begins it.
static __device__ __forceinline__ void accumulate(float* cell, float value, bool isFirst) { *cell = isFirst ? value : *cell + value; }

// Where a column's sums of a chunk lie: of the levels, of the biases if there are any, of V.
struct Part
{
    float* levels;
    float* biases;
    float* combine;
};

static __device__ __forceinline__ Part part_of(const Elementwise& p, Index chunk, Index column)
{
    Index levelRows = DEPTH * p.ladders;
    Part part;
    part.levels = p.parts + chunk * ((p.biases == nullptr ? 1 : 2) * levelRows + p.ladders) * p.width + column;
    part.biases = part.levels + levelRows * p.width;
    part.combine = p.biases == nullptr ? part.biases : part.biases + levelRows * p.width;
    return part;
}

// What count rows give to the gradients of ladder l at a column: added to gradG, and to the part, which begins with it or goes on.
static __device__ __forceinline__ void differentiate_ladder(
    const Elementwise& p, Index l, Index column, Index count, const float* g, const float* gradY, float* gradG, const Part& part, bool isFirst)
{
    float w[DEPTH], b[DEPTH], sums[DEPTH], biasSums[DEPTH];
    load_weights(p, l, column, w, b);
    float v = p.combine[l * p.width + column];
    float sumV = 0.0f;
#pragma unroll
    for (int k = 0; k < DEPTH; k++)
    {
        sums[k] = biasSums[k] = 0.0f;
    }

#pragma unroll
    for (int r = 0; r < ROWS; r++)
    {
        float x[DEPTH], slopes[DEPTH], derivatives[DEPTH];
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
        {
            float a = w[k] * g[r] + b[k];
            x[k] = denominator(a, p.constants);
            slopes[k] = denominator_slope(a);
        }

        float f = ladder_gradient(x, p.constants, derivatives);
        if (r < count)
        {
            float upstream = gradY[r] * v;
            sumV = fmaf(gradY[r], f, sumV);
#pragma unroll
            for (int k = 0; k < DEPTH; k++)
            {
                float gradient = derivatives[k] * slopes[k] * upstream;
                sums[k] = fmaf(gradient, g[r], sums[k]);
                biasSums[k] += gradient;
                gradG[r] = fmaf(gradient, w[k], gradG[r]);
            }
        }
    }

#pragma unroll
    for (int k = 0; k < DEPTH; k++)
    {
        Index at = (k * p.ladders + l) * p.width;
        accumulate(part.levels + at, sums[k], isFirst);
        if (p.biases != nullptr)
        {
            accumulate(part.biases + at, biasSums[k], isFirst);
        }
    }

    accumulate(part.combine + l * p.width, sumV, isFirst);
}

// A thread is a column of a chunk of rows, and the only one that writes the chunk's part of the parameters' gradients at its column.
extern "C" __global__ void elementwise_backward(const Elementwise p)
{
    Index column = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= p.width)
    {
        return;
    }

    Index begin = blockIdx.y * p.chunkRows;
    Index end = begin + p.chunkRows < p.rows ? begin + p.chunkRows : p.rows;
    Part part = part_of(p, blockIdx.y, column);
    for (Index first = begin; first < end; first += ROWS)
    {
        float g[ROWS], gradY[ROWS], gradG[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++)
        {
            Index at = (first + r) * p.width + column;
            g[r] = first + r < end ? load(p.g + at) : 0.0f;
            gradY[r] = first + r < end ? p.gradY[at] : 0.0f;
            gradG[r] = 0.0f;
        }

        for (Index l = 0; l < p.ladders; l++)
        {
            differentiate_ladder(p, l, column, end - first, g, gradY, gradG, part, first == begin);
        }

#pragma unroll
        for (int r = 0; r < ROWS; r++)
        {
            if (first + r < end)
            {
                store(gradG[r], p.gradG + (first + r) * p.width + column);
            }
        }
    }
}

// The parameters' gradients: the chunks' parts, added up in their order. A thread is a parameter.
extern "C" __global__ void elementwise_sum(const Elementwise p)
{
    Index levels = DEPTH * p.ladders * p.width;
    Index biases = p.biases == nullptr ? 0 : levels;
    Index total = levels + biases + p.ladders * p.width;
    Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= total)
    {
        return;
    }

    float sum = 0.0f;
    for (Index chunk = 0; chunk < p.chunks; chunk++)
    {
        sum += p.parts[chunk * total + i];
    }

    if (i < levels)
    {
        p.gradLevels[i] = sum;
    }
    else if (i < levels + biases)
    {
        p.gradBiases[i - levels] = sum;
    }
    else
    {
        p.gradCombine[i - levels - biases] = sum;
    }
}
