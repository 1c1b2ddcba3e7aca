#pragma once
// A description of a cluster, for `rvsweep plan --machine FILE`.
#include <cstdint>
#include <filesystem>
#include <string>

namespace rvsweep {

/// [machine] of an INI file; every key but those with a default must be there.
struct Machine {
  std::string name;
  std::int64_t nodes = 1;  // that one job may have
  std::int64_t cores_per_node = 1;
  std::int64_t gpus_per_node = 0;   // 0: ranks compute on cores
  double memory_per_node = 0;       // bytes
  double memory_per_gpu = 0;        // bytes; needed with GPUs
  std::int64_t cores_per_rank = 0;  // default: 8, or a GPU's share of the cores
  double gflops = 0;                // sustained by one GPU, or by one core; or:
  double rows_per_second = 0;       // measured on one rank with such a sweep
  double max_time = 0;              // seconds; the longest job
};

/// Throws InputError naming file and key: unreadable, unknown (with the nearest known one), missing
/// or out of range. Sizes are written 512GB (or MB, TB), times 90s, 30m, 12h or 2d.
Machine read_machine(const std::filesystem::path& file);

}  // namespace rvsweep
