#include "rvsweep/kernels/caching_allocator.hpp"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace rvsweep {
namespace {

TEST(TensorMemory, IsUsedAgainAndBeginsWithAHugePage) {
  use_caching_allocator();
  const auto make = [](std::int64_t bytes) { return at::empty({bytes}, at::kByte); };
  const at::Tensor stays = make(64 << 20);  // so that what is given back may be kept
  void* first = nullptr;
  {
    const at::Tensor tensor = make(10 << 20);
    first = tensor.data_ptr();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % (2 << 20), 0u);
    EXPECT_NE(make(10 << 20).data_ptr(), first) << "a living tensor's memory is its own";
  }
  EXPECT_EQ(make(9 << 20).data_ptr(), first) << "the last one given back of about that size";
  EXPECT_NE(make(4 << 20).data_ptr(), first) << "too large for so small a tensor";
}

}  // namespace
}  // namespace rvsweep
