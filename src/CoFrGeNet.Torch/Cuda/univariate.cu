// The univariate ensembles of CAttnU and the product of their sums; ladder.cu stands in front. Compiled with INPUT (0: float, 1: bfloat16), the type of the input, and with
// DEPTH = d - 1: d counts the linear part, too.
//
// Dimensions: B = batch, t = tokens, p = width, h = heads, s = p / h, m = inputs (1: both ensembles have the same, 2: one each); e = ensemble, k = level, 0 the linear one.

#if INPUT == BFLOAT16
typedef unsigned short Source;
#else
typedef float Source;
#endif

// Laid out as CudaUnivariate.cs lays them out.

struct Univariate
{
    const Source* x;       // [B, t, m, p]
    const float* weights;  // [d, 2, t]
    Element* y;            // [2, h, t, B, s]: the factors of products over tokens, head by head
    const Element* gradY;
    Source* gradX;
    float* parts;  // [d, 2, t, p]: what each channel adds to the gradients of the weights
    Index batch, length, inputs, width, heads;
    Tracking tracking;  // one range a token and ensemble, [t, 2]
    Constants constants;
};

struct Join
{
    const Element* sums;  // [2, h, t, B, s]
    Element* product;     // [B, t, p]
    const Element* gradProduct;
    Element* gradSums;
    Index batch, length, width, heads;
};

// Where channel c of a token and sequence lies in [h, t, B, s]. The other ensemble's lies B t p further on.
static __device__ __forceinline__ Index place(Index c, Index token, Index sequence, Index batch, Index length, Index width, Index heads)
{
    Index size = width / heads;
    return ((c / size * length + token) * batch + sequence) * size + c % size;
}

// A thread is a channel of a token, for all sequences.
extern "C" __global__ void univariate_forward(const Univariate p)
{
    Index c = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= p.width)
    {
        return;
    }

    Poles poles = no_poles();
    for (Index token = blockIdx.y; token < p.length; token += gridDim.y)
    {
#pragma unroll
        for (int e = 0; e < 2; e++)
        {
            float w[DEPTH + 1];
#pragma unroll
            for (int k = 0; k <= DEPTH; k++)
            {
                w[k] = p.weights[(k * 2 + e) * p.length + token];
            }

            Index range = token * 2 + e;
            float lowest = __int_as_float(0x7F800000);
            float highest = -lowest;
            for (Index sequence = 0; sequence < p.batch; sequence++)
            {
                float x = load(p.x + ((sequence * p.length + token) * p.inputs + (p.inputs == 2 ? e : 0)) * p.width + c);
                float a[DEPTH];
#pragma unroll
                for (int k = 0; k < DEPTH; k++)
                {
                    a[k] = denominator(w[k + 1] * x, p.constants);
                }

                float last;
                float f = ladder_value(a, p.constants, last);
                if (p.tracking.guarded != nullptr)
                {
                    see(poles, f, last, p.constants);
                }

                lowest = least(f, lowest);
                highest = greatest(f, highest);
                if (p.tracking.rangeUse == CLIP)
                {
                    f = clipped(f, p.tracking.low[range], p.tracking.high[range]);
                }

                store(w[0] * x + f, p.y + e * p.batch * p.length * p.width + place(c, token, sequence, p.batch, p.length, p.width, p.heads));
            }

            if (p.tracking.rangeUse == WIDEN)
            {
                lower(p.tracking.low + range, lowest);
                raise(p.tracking.high + range, highest);
            }
        }
    }

    if (p.tracking.guarded != nullptr)
    {
        note(p.tracking, poles);
    }
}

// A thread is a channel of a token, and the only one that writes what that adds to the weights' gradients.
extern "C" __global__ void univariate_backward(const Univariate p)
{
    Index c = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= p.width)
    {
        return;
    }

    for (Index token = blockIdx.y; token < p.length; token += gridDim.y)
    {
        float w[2][DEPTH + 1], sums[2][DEPTH + 1];
#pragma unroll
        for (int e = 0; e < 2; e++)
        {
#pragma unroll
            for (int k = 0; k <= DEPTH; k++)
            {
                w[e][k] = p.weights[(k * 2 + e) * p.length + token];
                sums[e][k] = 0.0f;
            }
        }

        for (Index sequence = 0; sequence < p.batch; sequence++)
        {
            Index row = (sequence * p.length + token) * p.inputs * p.width + c;
            Index at = place(c, token, sequence, p.batch, p.length, p.width, p.heads);
            float shared = 0.0f;
#pragma unroll
            for (int e = 0; e < 2; e++)
            {
                Index source = row + (p.inputs == 2 ? e * p.width : 0);
                float x = load(p.x + source);
                float upstream = load(p.gradY + e * p.batch * p.length * p.width + at);
                float a[DEPTH], slopes[DEPTH], derivatives[DEPTH];
#pragma unroll
                for (int k = 0; k < DEPTH; k++)
                {
                    float product = w[e][k + 1] * x;
                    a[k] = denominator(product, p.constants);
                    slopes[k] = denominator_slope(product);
                }

                ladder_gradient(a, p.constants, derivatives);
                sums[e][0] = fmaf(upstream, x, sums[e][0]);
                float gradient = upstream * w[e][0];
#pragma unroll
                for (int k = 0; k < DEPTH; k++)
                {
                    float level = derivatives[k] * slopes[k] * upstream;
                    sums[e][k + 1] = fmaf(level, x, sums[e][k + 1]);
                    gradient = fmaf(level, w[e][k + 1], gradient);
                }

                if (p.inputs == 2)
                {
                    store(gradient, p.gradX + source);
                }
                else
                {
                    shared += gradient;
                }
            }

            if (p.inputs == 1)
            {
                store(shared, p.gradX + row);
            }
        }

#pragma unroll
        for (int e = 0; e < 2; e++)
        {
#pragma unroll
            for (int k = 0; k <= DEPTH; k++)
            {
                p.parts[((k * 2 + e) * p.length + token) * p.width + c] = sums[e][k];
            }
        }
    }
}

// A thread is a channel of a token, for all sequences.
extern "C" __global__ void join_forward(const Join p)
{
    Index c = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= p.width)
    {
        return;
    }

    for (Index token = blockIdx.y; token < p.length; token += gridDim.y)
    {
        for (Index sequence = 0; sequence < p.batch; sequence++)
        {
            const Element* first = p.sums + place(c, token, sequence, p.batch, p.length, p.width, p.heads);
            store(load(first) * load(first + p.batch * p.length * p.width), p.product + (sequence * p.length + token) * p.width + c);
        }
    }
}

// As above.
extern "C" __global__ void join_backward(const Join p)
{
    Index c = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= p.width)
    {
        return;
    }

    Index second = p.batch * p.length * p.width;
    for (Index token = blockIdx.y; token < p.length; token += gridDim.y)
    {
        for (Index sequence = 0; sequence < p.batch; sequence++)
        {
            Index at = place(c, token, sequence, p.batch, p.length, p.width, p.heads);
            float upstream = load(p.gradProduct + (sequence * p.length + token) * p.width + c);
            store(upstream * load(p.sums + second + at), p.gradSums + at);
            store(upstream * load(p.sums + at), p.gradSums + second + at);
        }
    }
}
