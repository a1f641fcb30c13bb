// What NVRTC has built in and clang leaves to CUDA's own headers, for compiling the sources to PTX where neither is there:
// clang -x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=sm_70 -S -include device.h. expf and logf stay undefined.

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __forceinline__ inline __attribute__((always_inline))

extern "C"
{
    __device__ float expf(float x);
    __device__ float logf(float x);
}

#define fmaf __builtin_fmaf
#define fabsf __builtin_fabsf
#define sqrtf __nvvm_sqrt_rn_f
#define copysignf __builtin_copysignf

struct Thread
{
    struct X
    {
        __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_tid_x(); }
    } x;
};

struct Block
{
    struct X
    {
        __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_ctaid_x(); }
    } x;
    struct Y
    {
        __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_ctaid_y(); }
    } y;
};

struct BlockSize
{
    struct X
    {
        __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_ntid_x(); }
    } x;
};

struct GridSize
{
    struct X
    {
        __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_nctaid_x(); }
    } x;
    struct Y
    {
        __device__ operator unsigned() const { return __nvvm_read_ptx_sreg_nctaid_y(); }
    } y;
};

static __device__ const Thread threadIdx = {};
static __device__ const Block blockIdx = {};
static __device__ const BlockSize blockDim = {};
static __device__ const GridSize gridDim = {};

static __device__ inline float __int_as_float(int bits) { return __builtin_bit_cast(float, bits); }

static __device__ inline int __float_as_int(float value) { return __builtin_bit_cast(int, value); }

static __device__ inline int atomicMin(int* cell, int value) { return __nvvm_atom_min_gen_i(cell, value); }

static __device__ inline int atomicMax(int* cell, int value) { return __nvvm_atom_max_gen_i(cell, value); }

static __device__ inline unsigned atomicMin(unsigned* cell, unsigned value) { return __nvvm_atom_min_gen_ui(cell, value); }

static __device__ inline unsigned atomicMax(unsigned* cell, unsigned value) { return __nvvm_atom_max_gen_ui(cell, value); }

static __device__ inline unsigned long long atomicAdd(unsigned long long* cell, unsigned long long value)
{
    return __nvvm_atom_add_gen_ll((long long*)cell, (long long)value);
}
