#include "rvsweep/kernels/upload.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <algorithm>

namespace rvsweep {

void fill_ranges(const at::Tensor& block, const std::vector<ByteRange>& ranges,
                 const std::function<void(std::size_t i, std::byte* into)>& write) {
  if (block.is_cpu()) {
    for (std::size_t i = 0; i < ranges.size(); ++i)
      write(i, static_cast<std::byte*>(block.data_ptr()) + ranges[i].first);
    return;
  }
  const auto* const guard = c10::impl::getDeviceGuardImpl(block.device().type());
  const auto wait_for_copy = [&] { guard->synchronizeStream(guard->getStream(block.device())); };
  std::int64_t largest = 0;
  for (const ByteRange& range : ranges) largest = std::max(largest, range.bytes);
  const at::Tensor buffers =
      at::empty({2, largest}, at::TensorOptions().dtype(at::kByte).pinned_memory(true));
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const at::Tensor buffer =
        buffers[static_cast<std::int64_t>(i % 2)].narrow(0, 0, ranges[i].bytes);
    write(i, static_cast<std::byte*>(buffer.data_ptr()));
    if (i > 0) wait_for_copy();  // of the other buffer, which is written next
    block.narrow(0, ranges[i].first, ranges[i].bytes).copy_(buffer, /*non_blocking=*/true);
  }
  wait_for_copy();
}

}  // namespace rvsweep
