#include "kernels/cuda/arithmetic.hpp"

#include <ATen/Context.h>

#include <cstdlib>
#include <string>

#include "rvsweep/core/error.hpp"

namespace rvsweep::cuda {
namespace {

/// `variable` changes products behind libtorch's settings unless it is "0".
void refuse(const std::string& variable, const std::string& effect) {
  const char* const value = std::getenv(variable.c_str());
  if (value != nullptr && value != std::string("0"))
    throw InputError(variable, effect, "unset it, or set it to 0");
}

}  // namespace

void set_arithmetic() {
  refuse("NVIDIA_TF32_OVERRIDE", "it changes how cuBLAS multiplies, and results with it");
  refuse("PYTORCH_TUNABLEOP_ENABLED", "it picks products by their time, so runs would differ");
  at::Context& context = at::globalContext();
  context.setFloat32MatmulPrecision("highest");
  context.setAllowTF32CuDNN(false);
  context.setAllowFP16ReductionCuBLAS(false);
  context.setAllowBF16ReductionCuBLAS(false);
  context.setAllowFP16AccumulationCuBLAS(false);
  context.setBlasPreferredBackend(at::BlasBackend::Cublas);
  context.setLinalgPreferredBackend(at::LinalgBackend::Default);
  context.setSDPUseCuDNN(false);
  context.setSDPUseMath(false);
}

}  // namespace rvsweep::cuda
