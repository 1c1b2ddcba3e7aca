#pragma once
// Runs a list of work items on all ranks of a world. Payloads and outcomes are opaque bytes.
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "rvsweep/comm/communicator.hpp"
#include "rvsweep/scheduler/snapshot.hpp"

namespace rvsweep {

struct WorkItem {
  std::int32_t id = 0;  // 0 or more, each once
  double cost = 0;      // any finite unit; larger ones go first, ties by id
  int attempts = 0;     // that failed before; items with fewer go first
};

/// An item handed to a rank.
struct Assignment {
  std::int32_t id = 0;
  int rank = 0;
};

/// Rank 0 only. `payload` makes the bytes of one item when it is handed out.
struct WorkSource {
  std::vector<WorkItem> items;
  std::function<Bytes(std::int32_t id)> payload;
  /// Failed attempts, earlier ones included, after which an item has failed for good.
  int max_attempts = 3;
};

/// Commits a computed item and returns a small outcome. Called on a thread for commits alone while
/// the next item is computed, one commit at a time in the order of computation.
using Commit = std::function<Bytes()>;

/// Computes one item; it is done when what is returned has committed it. Always called on the
/// rank's one compute thread: settings that a library keeps per thread (autograd mode, current
/// device, OpenMP threads) are set inside it. Of either, an OutputError or a DeviceMemoryError ends
/// the work of all ranks, a DeviceError that of this rank: others compute the item, and its
/// attempts stay as they were. Any other exception makes this attempt a failed one.
using Executor = std::function<Commit(const Bytes& payload)>;

/// The executor that computes and commits in one step: no other item is computed meanwhile.
Executor in_one_step(std::function<Bytes(const Bytes& payload)> work);

struct FailedAttempt {
  std::int32_t id = 0;
  int rank = 0;
  std::string reason;
  int attempts = 0;   // failed ones of this item so far
  bool last = false;  // the item is failed for good
};

/// Rank 0 only, called from its main thread; each may be empty. Every item is done or failed for
/// good at most once. An OutputError thrown by one of them has the effect of one of the executor's.
struct WorkEvents {
  /// Before the items go out; none of them does where this throws.
  std::function<void(const std::vector<Assignment>&)> on_assigned;
  std::function<void(std::int32_t id, int rank, const Bytes& outcome)> on_done;
  std::function<void(const FailedAttempt&)> on_failed;
  std::function<void(std::int32_t id, int rank)> on_returned;  // not started, or not finished
  /// At this item, and the rank computes no more.
  std::function<void(std::int32_t id, int rank, const std::string& reason)> on_device_error;
  std::function<void(int rank)> on_stop_seen;    // the rank lives and was asked to stop
  std::function<void(const Snapshot&)> on_tick;  // at the start, each second and at the end
  std::function<void(int rank)> on_rank_lost;    // before RankLost is thrown
};

/// When to stop early: nothing more starts, what is being computed is finished and reported.
struct StopPolicy {
  std::function<bool()> stop_requested;  // asked on every rank, often; may be empty
  std::optional<Seconds> max_time;       // rank 0; counted from the call
  /// All ranks: how long another one may be silent before RankLost is thrown. Ranks give a sign of
  /// life every second, also while they compute.
  std::optional<Seconds> rank_timeout;
};

/// The same on every rank. Items neither done nor failed were never started, except those that an
/// OutputError or a DeviceError ended.
struct WorkOutcome {
  int items = 0;
  int done = 0;
  int failed = 0;                           // for good
  bool stopped_early = false;               // by the StopPolicy, with items left
  std::optional<std::string> output_error;  // message of the first one
  /// With items left: no rank's device works any more, or the memory of one does not suffice.
  std::optional<std::string> device_error = {};
  int left() const { return items - done - failed; }
  static auto fields(auto& self) {
    return std::tie(self.items, self.done, self.failed, self.stopped_early, self.output_error,
                    self.device_error);
  }
};

/// Collective: all ranks enter and leave together; `source` is given on rank 0 and null elsewhere.
/// An exception that leaves it (RankLost, or one from an event, a payload or a broken contract)
/// leaves the other ranks waiting, so it must also leave the scope of World, which then ends them.
WorkOutcome run_work(Communicator& communicator, const WorkSource* source, const Executor& executor,
                     const WorkEvents& events, const StopPolicy& stop);

}  // namespace rvsweep
