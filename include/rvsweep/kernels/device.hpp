#pragma once
// Where and in which dtype the model runs.
#include <ATen/core/Tensor.h>

#include <string>

namespace rvsweep {

struct Placement {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

/// "auto" | "cpu" | "cuda" -> "cpu" or "cuda". A GPU counts when libtorch_cuda can be opened and
/// finds one; `cuda` without one throws InputError.
std::string resolve_device(const std::string& requested);

/// "auto" | "float32" | "bfloat16" | "float16" on a resolved device: auto is float32 on a CPU,
/// bfloat16 on a GPU. float16 on a CPU throws InputError: its products are slow there, and it adds
/// nothing to float32.
std::string resolve_dtype(const std::string& requested, const std::string& device);

/// The placement of one rank: a GPU by its rank on the node, and the CPU threads of this process.
Placement place_rank(const std::string& device, const std::string& dtype, int local_rank);

/// Sets libtorch's threads for the calling thread; call it first in every thread that computes.
void use_threads(int threads);

/// CPU capability (AVX512 with AMX, AVX2, ...) or the GPU's name: part of a sweep's identity.
std::string hardware_name(const Placement& placement);

/// Bytes of the memory of a GPU. InputError where its driver does not tell.
double total_memory(const Placement& placement);

std::string libtorch_version();

/// Whether the host can read the elements: ranks of a node may share them, and comparing them is
/// cheap.
bool is_on_host(const at::Device& device);
bool is_on_host(const at::Tensor& x);

}  // namespace rvsweep
