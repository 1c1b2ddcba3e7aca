#pragma once
// A rank's part in the work: obeys rank 0, computes, reports.
#include <chrono>
#include <functional>

#include "rvsweep/comm/silence.hpp"
#include "scheduler/compute_thread.hpp"
#include "scheduler/messages.hpp"

namespace rvsweep {

/// Driven by its rank's main loop; nothing here blocks.
class Worker {
 public:
  /// Tells rank 0 that this rank is ready. The communicator must outlive the worker.
  Worker(Communicator& communicator, const Executor& executor, const StopPolicy& stop);

  /// Takes one order of rank 0 (is_order(tag)).
  void obey(const Message& order);
  /// Reports what is new and, every second, a sign of life. True where results were reported.
  /// RankLost where rank 0 has been silent for too long.
  bool poll();
  void wait_for_result(std::chrono::microseconds longest) { compute_.wait_for_result(longest); }

  /// Once rank 0 has ended the work.
  const std::optional<WorkOutcome>& outcome() const { return outcome_; }

 private:
  void report(Tag tag, Bytes payload = {});

  Communicator& communicator_;
  std::function<bool()> stop_requested_;
  bool stop_reported_ = false;
  std::chrono::steady_clock::time_point next_heartbeat_;
  Silence rank_zero_;
  std::optional<WorkOutcome> outcome_;
  ComputeThread compute_;
};

}  // namespace rvsweep
