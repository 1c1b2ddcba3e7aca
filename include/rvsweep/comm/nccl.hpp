#pragma once
// GPU-to-GPU broadcast by NCCL, which is opened at run time: nothing is linked, and where it cannot
// be used the caller is told why.
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/comm/communicator.hpp"

namespace rvsweep {

/// What a rank brings to a communicator of NCCL.
struct NcclRank {
  bool has_library = false;  // libnccl.so.2, 2.14 or later
  std::string gpu_uuid;      // its GPU; empty where the driver gives none
};

/// Why these ranks cannot join, NCCL's own rules among them: each needs a GPU of its own. Empty
/// where they can.
std::string why_not_join(const std::vector<NcclRank>& ranks);

/// Device memory of the calling thread's current device.
struct DeviceMemory {
  std::string gpu_uuid;
  void* data = nullptr;
  std::size_t bytes = 0;  // the same on every rank
};

/// Collective: root's bytes in every rank's memory, where all has been written to it that was asked
/// for on the default stream. Where that cannot be, or joining or sending takes longer than `limit`
/// each, the reason, the same on every rank: the memory is then undefined, but for root's.
std::optional<std::string> broadcast_by_nccl(Communicator& communicator, const DeviceMemory& memory,
                                             int root, Seconds limit);

/// "2.27.3"; nothing where libnccl.so.2 cannot be opened.
std::optional<std::string> nccl_version();

}  // namespace rvsweep
