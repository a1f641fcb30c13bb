// AdamW on a CUDA device: AdamWKernel, operation by operation, in one pass over parameters, gradients and moments; and the squares that gradients are clipped by. Compiled
// by NVRTC like ladder.cu, with exact division and roots and no fused multiply-adds, so that the CPU's results come out.
//
// A launch serves several parameters, since a small one takes less time than a launch. Dimension: n = elements of a parameter.

// Parameters a launch; a kernel's argument ends at 4 KiB.
#define ENTRIES 32

// Laid out as CudaAdamW.cs lays them out.
struct Update
{
    float* parameter;
    float* gradient;
    float* mean;
    float* square;
    Index count;
    float beta1, rest1, beta2, rest2, keep, root, rate, epsilon, scale;
    int clears;
};

struct Updates
{
    Update entry[ENTRIES];
};

struct Squares
{
    const float* gradient[ENTRIES];
    Index count[ENTRIES];
    double* sums;  // one a thread: [entries, threads across]
};

// grid: blocks across share a parameter, blocks down are the parameters
extern "C" __global__ void adamw_update(const Updates all)
{
    const Update& p = all.entry[blockIdx.y];
    Index step = (Index)gridDim.x * blockDim.x;
    for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += step)
    {
        float g = p.gradient[i] * p.scale;
        float m = p.mean[i] * p.beta1 + g * p.rest1;
        float v = p.square[i] * p.beta2 + g * g * p.rest2;
        p.mean[i] = m;
        p.square[i] = v;
        p.parameter[i] = p.parameter[i] * p.keep + m / (sqrtf(v) / p.root + p.epsilon) * p.rate;
        if (p.clears)
        {
            p.gradient[i] = 0.0f;
        }
    }
}

// grid: as above
extern "C" __global__ void gradient_squares(const Squares all)
{
    const float* gradient = all.gradient[blockIdx.y];
    Index count = all.count[blockIdx.y], threads = (Index)gridDim.x * blockDim.x, thread = (Index)blockIdx.x * blockDim.x + threadIdx.x;

    // A float's square is within a double's range.
    double sum = 0.0;
    for (Index i = thread; i < count; i += threads)
    {
        double value = gradient[i];
        sum += value * value;
    }

    all.sums[blockIdx.y * threads + thread] = sum;
}
