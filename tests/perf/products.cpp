// How fast one decode step's products are in every layout that this processor has: the layouts
// take turns over a model's matrices, all of which a step reads once.
//   products MODEL_FOLDER [threads]
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "kernels/cpu/onednn.hpp"
#include "rvsweep/core/shared_memory.hpp"
#include "rvsweep/kernels/caching_allocator.hpp"
#include "rvsweep/kernels/operations.hpp"
#include "rvsweep/model/packed_weights.hpp"

namespace rvsweep {
namespace {

constexpr int turns = 7;

struct Layout {
  const char* name;
  WeightForm form;
  Weights weights = {};
  std::vector<double> seconds = {};  // by turn
};

std::vector<Layout> layouts_of(const WeightSource& source, const ModelConfig& config) {
  std::vector<Layout> layouts;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const bool wide = dtype == at::kFloat;
    if (cpu::can_pack(dtype))
      layouts.push_back(
          {wide ? "float32, oneDNN" : "bfloat16, oneDNN", {dtype, MatrixFormat::onednn, dtype}});
    if (weight_form(source, config, dtype).format != MatrixFormat::amx_tiles) continue;
    layouts.push_back(
        {wide ? "float32, AMX" : "bfloat16, AMX", {dtype, MatrixFormat::amx_tiles, dtype}});
    if (wide)
      layouts.push_back(
          {"float32 times bfloat16, AMX", {dtype, MatrixFormat::amx_tiles, at::kBFloat16}});
  }
  return layouts;
}

/// Every matrix of `weights` once, times `rows` rows; its multiplications and additions.
double step(const Weights& weights, const Operations& operations, const at::Tensor& x) {
  double count = 0;
  const auto times = [&](const Matrix& matrix) {
    operations.product(x.narrow(1, 0, matrix.in).contiguous(), matrix);
    count += 2.0 * static_cast<double>(x.size(0) * matrix.in * matrix.out);
  };
  for (const LayerWeights& layer : weights.layers)
    for (const Matrix* matrix : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) times(*matrix);
  times(weights.head);
  return count;
}

void measure(const std::filesystem::path& folder, int threads) {
  const at::NoGradGuard no_autograd;
  at::set_num_threads(threads);
  ModelConfig config = load_model_config(folder);
  const WeightSource source = find_weights(folder, config, std::nullopt);
  std::vector<Layout> layouts = layouts_of(source, config);
  for (Layout& layout : layouts) {
    const auto memory = private_memory(memory_for_weights(config, layout.form));
    fill_weights(source, config, layout.form, threads, memory.get());
    layout.weights = weights_in_memory(config, layout.form, memory);
  }
  const auto widest = std::max(config.intermediate_size, config.n_heads * config.head_dim);
  for (const std::int64_t rows : {8, 64, 128, 256, 1280}) {
    double operations = 0;
    for (int turn = 0; turn < turns; ++turn)
      for (Layout& layout : layouts) {
        const at::Tensor x = at::randn({rows, widest}).to(layout.form.dtype);
        const auto begin = std::chrono::steady_clock::now();
        operations = step(layout.weights, operations_of({at::kCPU, layout.form.dtype}), x);
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
        layout.seconds.push_back(taken.count());
      }
    for (Layout& layout : layouts) {
      std::ranges::nth_element(layout.seconds, layout.seconds.begin() + turns / 2);
      const double median = layout.seconds[turns / 2];
      std::printf("%5ld rows  %-28s %7.1f ms  %6.0f GFLOP/s\n", static_cast<long>(rows),
                  layout.name, median * 1e3, operations / median * 1e-9);
      layout.seconds.clear();
    }
  }
}

}  // namespace
}  // namespace rvsweep

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER [threads]\n", argv[0]);
    return 2;
  }
  rvsweep::use_caching_allocator();  // as the program does
  rvsweep::measure(argv[1], argc > 2 ? std::atoi(argv[2]) : 1);
}
