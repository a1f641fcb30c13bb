// NVIDIA's run-time compiler and driver as far as the product calls them, on a machine with neither: "compiling" is g++, "loading" is dlopen, and a
// launch runs the kernel's threads one after the other. The declarations are written from NVIDIA's documentation of both interfaces.

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <vector>

static std::string folder, shim, failingCall, lastOptions, replaced, replacement;
static int failure, callsLeft, supportedArch = 90, kernelsLoaded, launches;
static thread_local std::vector<void*> contexts;
static void* lastStream;

static int result(const char* call) { return failingCall == call && callsLeft-- <= 0 ? failure : 0; }

extern "C"
{
    // What tests set and ask.
    void emulation_start(const char* workFolder, const char* shimPath) 
    {
        folder = workFolder;
        shim = shimPath;
        failingCall = replaced = "";
        supportedArch = 90;
        launches = 0;
    }

    void emulation_fail(const char* call, int code, int after) { failingCall = call; failure = code; callsLeft = after; }
    void emulation_support(int arch) { supportedArch = arch; }
    void emulation_replace(const char* text, const char* other) { replaced = text; replacement = other; }
    int emulation_launches() { return launches; }
    const char* emulation_options() { return lastOptions.c_str(); }
    void* emulation_stream() { return lastStream; }
    int emulation_contexts() { return (int)contexts.size(); }

    struct Program
    {
        std::string source, log, image;
    };

    int nvrtcVersion(int* major, int* minor) { *major = 12; *minor = 8; return result("nvrtcVersion"); }
    const char* nvrtcGetErrorString(int code) { return code == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_OTHER"; }
    int nvrtcGetNumSupportedArchs(int* count) { *count = 2; return 0; }
    int nvrtcGetSupportedArchs(int* archs) { archs[0] = 75; archs[1] = supportedArch; return 0; }

    int nvrtcCreateProgram(Program** program, const char* source, const char* name, int headers, const char* const* texts, const char* const* names)
    {
        *program = new Program{source, name == nullptr || headers != 0 || texts != nullptr || names != nullptr ? "bad call" : "", ""};
        return result("nvrtcCreateProgram");
    }

    int nvrtcDestroyProgram(Program** program) { delete *program; *program = nullptr; return 0; }

    int nvrtcCompileProgram(Program* program, int count, const char* const* options)
    {
        lastOptions = "";
        std::string definitions;
        for (int i = 0; i < count; i++)
        {
            lastOptions += std::string(options[i]) + " ";
            definitions += strncmp(options[i], "-D", 2) == 0 ? std::string(options[i]) + " " : "";
        }

        size_t at = replaced.empty() ? std::string::npos : program->source.find(replaced);
        if (at != std::string::npos)
        {
            program->source.replace(at, replaced.size(), replacement);
        }

        std::string base = folder + "/kernels" + std::to_string(kernelsLoaded++);
        FILE* file = fopen((base + ".cpp").c_str(), "w");
        fprintf(file, "#include \"%s\"\n%s\n", shim.c_str(), program->source.c_str());
        fputs(program->source.find("adamw_update") != std::string::npos
            ? "KERNEL(adamw_update, Updates) KERNEL(gradient_squares, Squares)\n"
            : program->source.find("gate_forward") != std::string::npos
            ? "KERNEL(gate_forward, Gate) KERNEL(gate_backward, Gate)\n"
            : program->source.find("univariate_forward") != std::string::npos
            ? "KERNEL(univariate_forward, Univariate) KERNEL(univariate_backward, Univariate) KERNEL(join_forward, Join) KERNEL(join_backward, Join)\n"
            : program->source.find("cross_entropy_sums") != std::string::npos
            ? "KERNEL(cross_entropy_sums, CrossEntropy) KERNEL(cross_entropy_losses, CrossEntropy) KERNEL(cross_entropy_gradients, CrossEntropy)\n"
            : program->source.find("elementwise_forward") != std::string::npos
            ? "KERNEL(elementwise_forward, Elementwise) KERNEL(elementwise_backward, Elementwise) KERNEL(elementwise_sum, Elementwise)\n"
            : "KERNEL(projected_forward, Projected) KERNEL(projected_backward, Projected)\n", file);
        fclose(file);

        // No contraction: NVRTC is told so too. A call of an instruction costs less than one of a function.
        std::string command = "g++ -std=c++17 -O1 -ffp-contract=off -fno-strict-aliasing -shared -fPIC -w "
#ifdef __x86_64__
            + std::string(__builtin_cpu_supports("fma") ? "-mfma " : "")
#endif
            + definitions + base + ".cpp -o " + base + ".so > " + base + ".log 2>&1";
        if (system(command.c_str()) != 0)
        {
            char line[4096];
            FILE* log = fopen((base + ".log").c_str(), "r");
            while (log != nullptr && fgets(line, sizeof line, log) != nullptr)
            {
                program->log += line;
            }

            return 6;
        }

        program->image = base + ".so";
        return result("nvrtcCompileProgram");
    }

    int nvrtcGetProgramLogSize(Program* program, size_t* size) { *size = program->log.size() + 1; return 0; }
    int nvrtcGetProgramLog(Program* program, char* log) { strcpy(log, program->log.c_str()); return 0; }
    int nvrtcGetCUBINSize(Program* program, size_t* size) { *size = program->image.size() + 1; return result("nvrtcGetCUBINSize"); }
    int nvrtcGetCUBIN(Program* program, char* image) { strcpy(image, program->image.c_str()); return 0; }
    int nvrtcGetPTXSize(Program* program, size_t* size) { *size = program->image.size() + 1; return 0; }
    int nvrtcGetPTX(Program* program, char* image) { strcpy(image, program->image.c_str()); return 0; }

    int cuInit(unsigned flags) { return flags == 0 ? result("cuInit") : 1; }
    int cuGetErrorName(int code, const char** name) { *name = code == 100 ? "CUDA_ERROR_NO_DEVICE" : code == 701 ? "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES" : "CUDA_ERROR_OTHER"; return 0; }
    int cuDeviceGet(int* device, int ordinal) { *device = ordinal; return ordinal > 1 ? 101 : result("cuDeviceGet"); }

    int cuDeviceGetAttribute(int* value, int attribute, int)
    {
        *value = attribute == 75 ? 9 : attribute == 76 ? 0 : -1;
        return result("cuDeviceGetAttribute");
    }

    int cuDeviceGetName(char* name, int length, int device)
    {
        snprintf(name, (size_t)length, "Emulated device %d", device);
        return result("cuDeviceGetName");
    }

    int cuDevicePrimaryCtxRetain(void** context, int device) { *context = (void*)(size_t)(0x1000 + device); return result("cuDevicePrimaryCtxRetain"); }
    int cuCtxGetCurrent(void** context) { *context = contexts.empty() ? nullptr : contexts.back(); return 0; }
    int cuCtxPushCurrent_v2(void* context) { contexts.push_back(context); return 0; }
    int cuCtxPopCurrent_v2(void** context) { *context = contexts.back(); contexts.pop_back(); return 0; }

    // The handle of a library is what stands for a module; 201 is what an invalid context gives.
    int cuModuleLoadData(void** module, const void* image)
    {
        if (contexts.empty())
        {
            return 201;
        }

        *module = dlopen((const char*)image, RTLD_NOW | RTLD_LOCAL);
        return *module == nullptr ? 200 : result("cuModuleLoadData");
    }

    int cuModuleGetFunction(void** function, void* module, const char* name)
    {
        *function = dlsym(module, (std::string(name) + "_launch").c_str());
        return *function == nullptr ? 500 : result("cuModuleGetFunction");
    }

    int cuLaunchKernel(
        void* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
        void* stream, void** parameters, void** extra)
    {
        // The limits of every device since compute capability 3.0.
        if (contexts.empty() || gridX == 0 || gridX > 0x7fffffff || gridY == 0 || gridY > 65535 || gridZ != 1 || blockX * blockY * blockZ > 1024 || blockX == 0
            || sharedBytes != 0 || extra != nullptr)
        {
            return 1;
        }

        int code = result("cuLaunchKernel");
        if (code == 0)
        {
            unsigned grid[] = {gridX, gridY, gridZ}, block[] = {blockX, blockY, blockZ};
            lastStream = stream;
            launches++;
            ((void (*)(const unsigned*, const unsigned*, void**))function)(grid, block, parameters);
        }

        return code;
    }
}
