// The gated input x (.) s(g) on a CUDA device: GateKernel. Compiled by NVRTC with ELEMENT, the type of g (0: float, 1: bfloat16); ladder.cu's prelude is not needed.
//
// Dimension: n = elements.

typedef long long Index;

#if ELEMENT
typedef unsigned short Element;

static __device__ __forceinline__ float load(Element value) { return __int_as_float((int)((unsigned)value << 16)); }

static __device__ __forceinline__ Element rounded(float value)
{
    unsigned bits = (unsigned)__float_as_int(value);
    return (Element)(value != value ? 0x7FC0u : (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}
#else
typedef float Element;

static __device__ __forceinline__ float load(Element value) { return value; }

static __device__ __forceinline__ Element rounded(float value) { return value; }
#endif

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
        float g = load(p.gate[i]);
        float sigmoid = 1.0f / (1.0f + expf(-g));
        p.y[i] = p.x[i] * (p.isSigmoid ? sigmoid : g * sigmoid);
    }
}

extern "C" __global__ void gate_backward(const Gate p)
{
    Index step = (Index)gridDim.x * blockDim.x;
    for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += step)
    {
        float g = load(p.gate[i]);
        float sigmoid = 1.0f / (1.0f + expf(-g));
        float rest = 1.0f - sigmoid;
        float slope = sigmoid * (p.isSigmoid ? rest : fmaf(g, rest, 1.0f));
        float upstream = p.gradY[i];
        p.gradX[i] = upstream * (p.isSigmoid ? sigmoid : g * sigmoid);
        p.gradGate[i] = rounded(upstream * p.x[i] * slope);
    }
}
