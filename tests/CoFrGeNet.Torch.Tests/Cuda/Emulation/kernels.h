// What CUDA C has beyond C++, for the CPU: put in front of the sources by emulation.cpp. A kernel is a function that is called for
// one thread after the other, which is how it may behave on a device too, since no thread of these kernels waits for another.

#define __global__
#define __device__
#define __forceinline__ inline

#define fmaf __builtin_fmaf
#define expf __builtin_expf
#define logf __builtin_logf
#define fabsf __builtin_fabsf
#define sqrtf __builtin_sqrtf
#define copysignf __builtin_copysignf

struct Triple
{
    unsigned x, y, z;
};

static Triple threadIdx, blockIdx, blockDim, gridDim;

static inline float __int_as_float(int bits)
{
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int __float_as_int(float value)
{
    int bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Any other pairing of types is a mistake, and does not compile.
template <typename T>
static T atomicMin(T* cell, T value)
{
    T old = *cell;
    *cell = value < old ? value : old;
    return old;
}

template <typename T>
static T atomicMax(T* cell, T value)
{
    T old = *cell;
    *cell = value > old ? value : old;
    return old;
}

static unsigned long long atomicAdd(unsigned long long* cell, unsigned long long value)
{
    unsigned long long old = *cell;
    *cell = old + value;
    return old;
}

// The entry that emulation.cpp's cuLaunchKernel calls, and the size of the kernel's argument.
#define KERNEL(name, Arguments)                                                                          \
    extern "C" void name##_launch(const unsigned* grid, const unsigned* block, void** arguments)         \
    {                                                                                                    \
        gridDim = Triple{grid[0], grid[1], grid[2]};                                                     \
        blockDim = Triple{block[0], block[1], block[2]};                                                 \
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)                                       \
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)                                   \
                for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++)                           \
                    name(*(const Arguments*)arguments[0]);                                               \
    }                                                                                                    \
    extern "C" unsigned name##_argument_size() { return sizeof(Arguments); }
