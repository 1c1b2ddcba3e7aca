#include "rvsweep/kernels/hardware.hpp"

#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>

#include "kernels/cuda/driver.hpp"
#include "kernels/cuda/libraries.hpp"

namespace rvsweep {
namespace {

/// Seconds of the fastest of several calls, the first not counted.
template <class Work>
double fastest(const Work& work) {
  using Clock = std::chrono::steady_clock;
  work();
  double least = 1e9;
  for (const auto end = Clock::now() + std::chrono::milliseconds(150); Clock::now() < end;) {
    const auto begin = Clock::now();
    work();
    least = std::min(least, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return least;
}

}  // namespace

MeasuredSpeed measure_core(at::ScalarType dtype) {
  const c10::InferenceMode no_autograd;
  prepare_thread({at::kCPU, dtype}, 1);
  const auto ones = [&](std::vector<std::int64_t> shape) { return at::ones(shape, dtype); };
  // So many tokens that what a causal kernel computes beyond the diagonal weighs little.
  constexpr std::int64_t rows = 256, in = 1024, out = 4096, heads = 8, dim = 64, tokens = 2048;
  const at::Tensor x = ones({rows, in}), matrix = ones({out, in}), large = ones({16 * out, in}),
                   q = ones({1, heads, tokens, dim});
  const auto count = [](auto... factors) { return static_cast<double>((factors * ...)); };
  return {.products = count(2, rows, in, out) / fastest([&] { at::linear(x, matrix); }),
          .attention = count(2, heads, tokens, tokens, dim) / fastest([&] {
                         at::scaled_dot_product_attention(q, q, q, {}, 0, /*is_causal=*/true);
                       }),
          .reads = static_cast<double>(large.nbytes()) /
                   fastest([&] { at::linear(x.narrow(0, 0, 1), large); })};
}

std::string blas_name() {
  const std::string config = at::show_config(), key = "BLAS_INFO=";
  const auto at = config.find(key);
  if (at == std::string::npos) return "unknown";
  const auto begin = at + key.size();
  return config.substr(begin, config.find_first_of(",\n", begin) - begin);
}

GpuReport find_gpus() {
  GpuReport report;
  report.has_driver = cuda::has_driver();
  report.problem = why_no_gpu();
  if (report.has_driver && cuda::why_not_open().empty()) report.libraries = cuda::libraries();
  if (!report.problem.empty()) return report;
  const int devices = at::detail::getCUDAHooks().getNumGPUs();
  for (int device = 0; device < devices; ++device)
    report.names.push_back(
        hardware_name({at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device))}));
  report.driver = cuda::driver_text();
  return report;
}

}  // namespace rvsweep
