#pragma once
// Runs a list of work items on all ranks of a world. Payloads and outcomes are opaque bytes.
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/comm/communicator.hpp"
#include "rvsweep/scheduler/snapshot.hpp"

namespace rvsweep {

struct WorkItem {
  std::int32_t id = 0;  // 0 or more, each once
  double cost = 0;      // any finite unit; larger ones go first, ties by id
};

/// Rank 0 only. `payload` makes the bytes of one item when it is handed out.
struct WorkSource {
  std::vector<WorkItem> items;
  std::function<Bytes(std::int32_t id)> payload;
};

/// Computes and commits one item and returns a small outcome. It runs on the rank's compute thread,
/// always the same one during a sweep: settings that a library keeps per thread (autograd mode,
/// current device, OpenMP threads) are set inside it. An OutputError ends the whole sweep; any
/// other exception makes this one item a failed one.
using Executor = std::function<Bytes(const Bytes& payload)>;

/// Rank 0 only, called from its main thread; each may be empty. Every item is reported at most
/// once. An OutputError thrown by one of them ends the sweep like one of the executor's.
struct SweepEvents {
  std::function<void(std::int32_t id, int rank, const Bytes& outcome)> on_done;
  std::function<void(std::int32_t id, int rank, const std::string& reason)> on_failed;
  std::function<void(const Snapshot&)> on_tick;  // at the start, each second and at the end
};

/// When to stop early: nothing more starts, what is being computed is finished and reported.
struct StopPolicy {
  std::function<bool()> stop_requested;  // asked on every rank, often; may be empty
  std::optional<std::chrono::duration<double>> max_time;  // rank 0; counted from the call
};

/// The same on every rank. Items neither done nor failed were never started, except the one that an
/// OutputError ended.
struct SweepOutcome {
  int items = 0;
  int done = 0;
  int failed = 0;
  bool stopped_early = false;               // by the StopPolicy, with items left
  std::optional<std::string> output_error;  // message of the first one
  int left() const { return items - done - failed; }
};

/// Collective: all ranks enter and leave together; `source` is given on rank 0 and null elsewhere.
/// An exception that leaves it (from an event, a payload or a broken contract) leaves the other
/// ranks waiting, so it must also leave the scope of World, which then ends them.
SweepOutcome run_sweep(Communicator& communicator, const WorkSource* source,
                       const Executor& executor, const SweepEvents& events, const StopPolicy& stop);

}  // namespace rvsweep
