#pragma once
// Where and in which dtype the model runs.
#include <ATen/core/Tensor.h>

#include <string>

namespace rvsweep {

struct Placement {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

/// Opens libtorch's GPU part where a driver is. libtorch settles at its first use whether it has
/// one: call this before anything else of it.
void open_gpu_support();

/// Why no GPU can be used, with versions; empty where one can.
const std::string& why_no_gpu();

/// "auto" | "cpu" | "cuda" -> "cpu" or "cuda"; `cuda` without a usable GPU throws InputError,
/// `auto` warns where there is a driver and still no usable GPU.
std::string resolve_device(const std::string& requested);

/// "auto" | "float32" | "bfloat16" | "float16" on a resolved device: auto is float32 on a CPU,
/// bfloat16 on a GPU. float16 on a CPU throws InputError: its products are slow there, and it adds
/// nothing to float32.
std::string resolve_dtype(const std::string& requested, const std::string& device);

/// The placement of one rank: a GPU by its rank on the node. A GPU's also settles how this process
/// computes on GPUs (kernels/cuda/arithmetic.hpp). InputError where there is no GPU, or where the
/// environment forbids that.
Placement place_rank(const std::string& device, const std::string& dtype, int local_rank);

/// InputError where the environment lets OpenMP give fewer threads: oneDNN shares a product out
/// over those that it asks for, and leaves out the parts of others.
void refuse_fewer_threads(int threads);

/// Makes the placement's device the calling thread's, or every operator would switch to it and
/// back, and sets libtorch's CPU threads for it: first in every thread that computes. Throws
/// DeviceError; InputError where the environment keeps OpenMP from giving so many threads.
void prepare_thread(const Placement& placement, int threads);

/// CPU capability (AVX512 with AMX, AVX2, ...) or the GPU's name: part of a sweep's identity.
std::string hardware_name(const Placement& placement);

/// Bytes of the memory of a GPU. InputError where its driver does not tell.
double total_memory(const Placement& placement);

std::string libtorch_version();

/// Libraries that decide a GPU's bits beside libtorch, whose version does not tell them: part of a
/// sweep's identity. Empty on a CPU.
struct GpuLibraries {
  std::string cuda, cublas, cudnn;  // "13.0", "13.1.0", "9.19.0"
};
GpuLibraries gpu_libraries(const Placement& placement);

/// "580.65.06, for CUDA 13.0"; without the first where the system does not tell it.
std::string gpu_driver();

/// Of the placement's GPU, whatever index it has in this process; empty where the driver gives
/// none.
std::string gpu_uuid(const Placement& placement);

/// Whether the host can read the elements: ranks of a node may share them, and comparing them is
/// cheap.
bool is_on_host(const at::Device& device);
bool is_on_host(const at::Tensor& x);

}  // namespace rvsweep
