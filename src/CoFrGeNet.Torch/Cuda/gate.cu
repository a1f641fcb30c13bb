// The gated input x (.) s(g) on a CUDA device: GateKernel. Compiled by NVRTC with ELEMENT, the type of g (0: float, 1: bfloat16).
//
// Dimension: n = elements.

// Laid out as CudaGate.cs lays it out.
struct Gate
{
    const float* x;
    const Element* gate;
    float* y;
    const float* gradY;
    float* gradX;
    Element* gradGate;
    Index count;
    Index isSigmoid;  // else SiLU
};

extern "C" __global__ void gate_forward(const Gate p)
{
    Index step = (Index)gridDim.x * blockDim.x;
    for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += step)
    {
        float g = load(p.gate + i);
        float sigmoid = 1.0f / (1.0f + expf(-g));
        p.y[i] = p.x[i] * (p.isSigmoid ? sigmoid : g * sigmoid);
    }
}

extern "C" __global__ void gate_backward(const Gate p)
{
    Index step = (Index)gridDim.x * blockDim.x;
    for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += step)
    {
        float g = load(p.gate + i);
        float sigmoid = 1.0f / (1.0f + expf(-g));
        float rest = 1.0f - sigmoid;
        float slope = sigmoid * (p.isSigmoid ? rest : fmaf(g, rest, 1.0f));
        float upstream = p.gradY[i];
        p.gradX[i] = upstream * (p.isSigmoid ? sigmoid : g * sigmoid);
        store(upstream * p.x[i] * slope, p.gradGate + i);
    }
}
