#pragma once
// Bytes that the host makes in the memory of a device.
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace rvsweep {

struct ByteRange {
  std::int64_t first = 0, bytes = 0;
};

/// Fills ranges of `block`, uint8 [bytes] on any device, in their order: `write(i, into)` makes the
/// bytes of range i. Where the host cannot write to the device they are made in pinned memory for
/// the two largest, and the copy of one goes on while the next is made. Returns when all have
/// arrived. Called on the thread whose device is the block's (prepare_thread).
void fill_ranges(const at::Tensor& block, const std::vector<ByteRange>& ranges,
                 const std::function<void(std::size_t i, std::byte* into)>& write);

}  // namespace rvsweep
