#pragma once
// GPU-to-GPU broadcast by NCCL, which is opened at run time: nothing is linked, and where it cannot
// be used the caller is told why.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "rvsweep/comm/communicator.hpp"

namespace rvsweep {

class Nccl {
 public:
  /// Collective. Joins all ranks of the world, each with its own GPU; null with the reason in
  /// `why_not` on every rank where libnccl is missing or two ranks share a device (NCCL may hang on
  /// that).
  static std::unique_ptr<Nccl> join(Communicator& communicator, const std::string& host,
                                    int device_index, std::string& why_not);
  ~Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  /// Collective: root's bytes of device memory on every rank; returns when they have arrived.
  /// Throws std::runtime_error with NCCL's own words.
  void broadcast(void* device_memory, std::size_t bytes, int root);

 private:
  struct Library;
  Nccl(std::unique_ptr<Library> library, void* nccl_communicator);
  std::unique_ptr<Library> library_;
  void* nccl_communicator_;
};

/// "2.27.3"; nothing where libnccl.so.2 cannot be opened.
std::optional<std::string> nccl_version();

}  // namespace rvsweep
