// AdamW on a CUDA device: AdamWKernel, operation by operation, in one pass over parameter, gradient and moments. Compiled by NVRTC like ladder.cu, with exact
// division and roots and no fused multiply-adds, so that the CPU's results come out.
//
// Dimension: n = elements of the parameter.

typedef long long Index;

// Laid out as CudaAdamW.cs lays it out.
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

extern "C" __global__ void adamw_update(const Update p)
{
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
