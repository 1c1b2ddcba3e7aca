#pragma once
// The one thread of a rank that computes, so that its main thread can answer messages meanwhile.
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

/// Executes submitted items one after the other. After an OutputError or a DeviceError it starts no
/// further item.
class ComputeThread {
 public:
  explicit ComputeThread(Executor executor);
  /// Waits for the item that is being computed; items not started are dropped.
  ~ComputeThread() = default;

  void submit(std::int32_t id, Bytes payload);
  /// Takes back the items that have not started.
  std::vector<std::int32_t> withdraw();
  /// Results so far, in the order of computation, each returned once.
  std::vector<ComputeResult> take_results();
  /// Returns when there is a result to take, at the latest after `longest`.
  void wait_for_result(std::chrono::microseconds longest);
  Activity activity() const;

 private:
  struct Task {
    std::int32_t id;
    Bytes payload;
  };
  void compute(const std::stop_token& stop);
  ComputeResult execute(const Task& task) const;

  Executor executor_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable_any task_added_;
  std::condition_variable result_added_;
  std::deque<Task> tasks_;
  std::vector<ComputeResult> results_;
  std::optional<std::int32_t> current_;
  std::chrono::steady_clock::time_point current_since_;
  bool halted_ = false;
  std::jthread thread_;  // last: it must end before the rest goes
};

}  // namespace rvsweep
