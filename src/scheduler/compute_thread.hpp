#pragma once
// The one thread of a rank that computes, so that its main thread can answer messages meanwhile,
// and the one that commits what has been computed.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "rvsweep/scheduler/work.hpp"

namespace rvsweep {

enum class ResultKind { done, failed, output_error, device_error, out_of_memory };

struct ComputeResult {
  std::int32_t id = 0;
  ResultKind kind = ResultKind::done;
  Bytes outcome;        // done
  std::string message;  // of the others
};

/// Executes submitted items one after the other. While one is committed the next is computed; then
/// it waits, so that no more than two results are held. After an OutputError or a DeviceError no
/// further item starts; what has been computed is committed.
class ComputeThread {
 public:
  explicit ComputeThread(Executor executor);
  /// Waits for the item that is being computed and for commits; items not started are dropped.
  ~ComputeThread() = default;

  void submit(std::int32_t id, Bytes payload);
  /// Takes back the items that have not started.
  std::vector<std::int32_t> withdraw();
  /// Results so far, each returned once.
  std::vector<ComputeResult> take_results();
  /// Returns when there is a result to take, at the latest after `longest`.
  void wait_for_result(std::chrono::microseconds longest);
  /// The item that is being computed, else the one that is being committed.
  Activity activity() const;

 private:
  struct Task {
    std::int32_t id;
    Bytes payload;
  };
  struct Started {
    std::int32_t id;
    std::chrono::steady_clock::time_point since;
    Commit commit = {};
  };
  void compute(const std::stop_token& stop);
  void commit(const std::stop_token& stop);
  void add_result(ComputeResult result);

  Executor executor_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable_any task_added_, commit_added_, commit_ended_;
  std::condition_variable result_added_;
  std::deque<Task> tasks_;
  std::vector<ComputeResult> results_;
  std::optional<Started> computing_, committing_;
  bool halted_ = false;
  // Last, and in this order: computing ends first, then commits, then the rest goes.
  std::jthread commit_thread_, compute_thread_;
};

}  // namespace rvsweep
