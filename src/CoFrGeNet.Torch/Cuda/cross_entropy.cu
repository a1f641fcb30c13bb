// Cross entropy of rows of logits on a CUDA device, and its gradient in place of the logits. Compiled by NVRTC with ELEMENT (0: float, 1: bfloat16) and WIDE (1: rows
// begin at multiples of 16 bytes and are read so).
//
// Three kernels, none of whose threads waits for another: each of a row's threads sums the exponentials of its columns, relative to their largest; one thread a row joins
// these sums; then every logit becomes its gradient. Dimensions: n = rows, V = columns that are logits, W >= V = columns of a row, the rest of them without meaning.

#if ELEMENT == BFLOAT16
#define BYTES 2
#else
#define BYTES 4
#endif

#if WIDE
#define COUNT (16 / BYTES)
#else
#define COUNT 1
#endif

// Threads a row; CudaCrossEntropy.cs launches as many.
#define THREADS 256

// Laid out as CudaCrossEntropy.cs lays it out.
struct CrossEntropy
{
    Element* logits;
    const Index* targets;
    float* largest;
    float* sums;
    float* normalizers;
    double* losses;
    Index rows, columns, stride;
    float scale;
};

struct alignas(COUNT * BYTES) Pack
{
    Element value[COUNT];
};

// grid: n blocks of THREADS
extern "C" __global__ void cross_entropy_sums(const CrossEntropy p)
{
    Index row = blockIdx.x;
    const Element* logits = p.logits + row * p.stride;
    float largest = -__int_as_float(0x7f800000), sum = 0.0f;
    for (Index first = (Index)threadIdx.x * COUNT; first < p.columns; first += THREADS * COUNT)
    {
        Pack pack = *(const Pack*)(logits + first);
        float most = largest;
        float value[COUNT];
#pragma unroll
        for (int i = 0; i < COUNT; i++)
        {
            value[i] = first + i < p.columns ? load(pack.value + i) : -__int_as_float(0x7f800000);
            most = value[i] > most || value[i] != value[i] ? value[i] : most;
        }

        // Nothing but -inf so far adds nothing; a NaN or +inf makes the sum NaN, as it is to be.
        if (most != -__int_as_float(0x7f800000))
        {
            sum = sum * expf(largest - most);
    #pragma unroll
        for (int i = 0; i < COUNT; i++)
            {
                sum += expf(value[i] - most);
            }

            largest = most;
        }
    }

    p.largest[row * THREADS + threadIdx.x] = largest;
    p.sums[row * THREADS + threadIdx.x] = sum;
}

// grid: a thread a row
extern "C" __global__ void cross_entropy_losses(const CrossEntropy p)
{
    Index row = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= p.rows)
    {
        return;
    }

    const float* largest = p.largest + row * THREADS;
    const float* sums = p.sums + row * THREADS;
    float most = largest[0];
    for (int i = 1; i < THREADS; i++)
    {
        most = largest[i] > most || largest[i] != largest[i] ? largest[i] : most;
    }

    float sum = 0.0f;
    for (int i = 0; i < THREADS; i++)
    {
        sum += sums[i] == 0.0f ? 0.0f : sums[i] * expf(largest[i] - most);
    }

    float normalizer = most + logf(sum);
    p.normalizers[row] = normalizer;
    Index target = p.targets[row];
    p.losses[row] = target >= 0 && target < p.columns ? (double)normalizer - (double)load(p.logits + row * p.stride + target) : __int_as_float(0x7fc00000);
}

// grid: n blocks of THREADS
extern "C" __global__ void cross_entropy_gradients(const CrossEntropy p)
{
    Index row = blockIdx.x;
    Element* logits = p.logits + row * p.stride;
    float normalizer = p.normalizers[row];
    Index target = p.targets[row];
    for (Index first = (Index)threadIdx.x * COUNT; first < p.stride; first += THREADS * COUNT)
    {
        Pack* place = (Pack*)(logits + first);
        Pack pack = *place;
#pragma unroll
        for (int i = 0; i < COUNT; i++)
        {
            Index column = first + i;
            float gradient = (expf(load(pack.value + i) - normalizer) - (column == target ? 1.0f : 0.0f)) * p.scale;
            store(column < p.columns ? gradient : 0.0f, pack.value + i);
        }

        *place = pack;
    }
}
