// What stands in front of all sources: bfloat16 as its bits, for want of a header, and the type at the edges, where a source is compiled for one (ELEMENT).

#define FLOAT32 0
#define BFLOAT16 1

typedef long long Index;

static __device__ __forceinline__ float widened(unsigned short bits) { return __int_as_float((int)((unsigned)bits << 16)); }

// To nearest, ties to even.
static __device__ __forceinline__ unsigned short rounded(float value)
{
    unsigned bits = (unsigned)__float_as_int(value);
    return (unsigned short)(value != value ? 0x7FC0u : (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

static __device__ __forceinline__ float load(const float* source) { return *source; }

static __device__ __forceinline__ float load(const unsigned short* source) { return widened(*source); }

static __device__ __forceinline__ void store(float value, float* target) { *target = value; }

static __device__ __forceinline__ void store(float value, unsigned short* target) { *target = rounded(value); }

#ifdef ELEMENT
#if ELEMENT == BFLOAT16
typedef unsigned short Element;
#else
typedef float Element;
#endif
#endif
