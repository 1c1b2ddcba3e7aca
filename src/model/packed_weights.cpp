#include "rvsweep/model/packed_weights.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/Allocator.h>

#include <algorithm>
#include <functional>
#include <map>

#include "rvsweep/core/error.hpp"
#include "rvsweep/model/linear.hpp"

namespace rvsweep {
namespace {

/// Where packed matrices go. oneDNN takes their memory from libtorch's allocator of the CPU, which
/// this one replaces while a matrix is packed. It never takes anything back.
class Arena : public c10::Allocator {
 public:
  Arena(std::byte* begin, std::byte* end) : next_(begin), end_(end) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    std::byte* const data = next_;
    RVSWEEP_EXPECT(bytes <= static_cast<std::size_t>(end_ - next_), "packed matrices fit");
    next_ += aligned(static_cast<std::int64_t>(bytes));
    return {data, data, &keep, c10::DeviceType::CPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &keep; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

  at::Tensor pack(const at::Tensor& matrix) {
    c10::Allocator* const usual = c10::GetAllocator(c10::DeviceType::CPU);
    c10::SetAllocator(c10::DeviceType::CPU, this);
    at::Tensor result = packed(matrix);
    c10::SetAllocator(c10::DeviceType::CPU, usual);
    return result;
  }

 private:
  static void keep(void*) {}

  std::byte *next_, *end_;
};

/// oneDNN would give packed matrices back to libtorch's usual allocator, to which their memory does
/// not belong: they, and what they lie in, are never destroyed.
void keep_for_good(Weights weights, std::shared_ptr<std::byte> memory) {
  static auto& kept = *new std::vector<std::pair<Weights, std::shared_ptr<std::byte>>>;
  kept.emplace_back(std::move(weights), std::move(memory));
}

using Fill = std::function<void(const WeightLayout& layout, std::byte* into)>;

/// Lays the parameters out in `memory`: first those that stay as they are, then packed matrices;
/// `fill` puts numbers in. The places depend on the arguments alone.
Weights lay_out(const ModelConfig& config, at::ScalarType dtype,
                const std::shared_ptr<std::byte>& memory, const Fill& fill) {
  const auto bytes = static_cast<std::ptrdiff_t>(memory_for_weights(config, dtype));
  const bool packs = can_pack(dtype);
  const WeightLayout stays =
      weight_layout(config, dtype, packs ? Parameters::lookups_and_vectors : Parameters::all);
  fill(stays, memory.get());
  const at::Tensor block = at::from_blob(
      memory.get(), {stays.bytes}, [memory](void*) {}, at::kByte);
  if (!packs) return weights_in(block, config, stays);
  Arena arena(memory.get() + aligned(stays.bytes), memory.get() + bytes);
  at::Tensor unpacked;  // reused, so that it stays in the processor's cache
  Weights weights =
      weights_in(block, config, stays, [&](const WeightLayout& layout, at::IntArrayRef shape) {
        if (!unpacked.defined() || unpacked.numel() < layout.bytes)
          unpacked = at::empty({layout.bytes}, at::kByte);
        fill(layout, static_cast<std::byte*>(unpacked.data_ptr()));
        return arena.pack(unpacked.narrow(0, 0, layout.bytes).view(dtype).view(shape));
      });
  if (config.tied_head) weights.head = arena.pack(weights.embedding);
  keep_for_good(weights, memory);
  return weights;
}

}  // namespace

std::size_t memory_for_weights(const ModelConfig& config, at::ScalarType dtype) {
  constexpr std::int64_t block = 64;  // rows and columns of a full block, at most
  const auto padded = [](std::int64_t n) { return (n + block - 1) / block * block; };
  std::size_t numbers = 0;
  for (const auto& [name, shape] : parameter_shapes(config)) {
    const bool is_matrix = shape.size() == 2;
    numbers += is_matrix ? padded(shape[0]) * padded(shape[1]) : padded(shape[0]);
    if (is_matrix && config.tied_head && name == "model.embed_tokens.weight")
      numbers += padded(shape[0]) * padded(shape[1]);
  }
  return numbers * at::elementSize(dtype);
}

Weights load_weights(const WeightSource& source, const ModelConfig& config, at::ScalarType dtype,
                     int threads, std::shared_ptr<std::byte> memory) {
  return lay_out(config, dtype, memory, [&](const WeightLayout& layout, std::byte* into) {
    read_parameters(source, layout, threads, into);
  });
}

Weights place_weights(const ModelConfig& config, at::ScalarType dtype,
                      std::shared_ptr<std::byte> memory) {
  // Packing the same shapes gives the same places, whatever the numbers.
  return lay_out(config, dtype, memory, [](const WeightLayout&, std::byte*) {});
}

}  // namespace rvsweep
