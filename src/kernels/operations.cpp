#include "rvsweep/kernels/operations.hpp"

#include "kernels/cpu/amx/operations.hpp"
#include "kernels/cpu/amx/product.hpp"
#include "kernels/cpu/operations.hpp"

namespace rvsweep {

const Operations& operations_of(const Placement& placement) {
  const bool has_cpu_loops = placement.dtype == at::kFloat || placement.dtype == at::kBFloat16;
  if (!placement.device.is_cpu() || !has_cpu_loops) return aten_operations();
  return has_amx() ? amx_operations() : cpu_operations();
}

}  // namespace rvsweep
