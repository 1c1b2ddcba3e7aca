#pragma once
// Rank 0's side of the work: sends out what the coordinator decides and tells it what ranks report.
#include <chrono>

#include "rvsweep/comm/silence.hpp"
#include "scheduler/coordinator.hpp"
#include "scheduler/messages.hpp"

namespace rvsweep {

/// Driven by the main loop of rank 0; nothing here blocks, unless an event or a payload does.
class Dispatcher {
 public:
  /// Everything given must outlive the dispatcher.
  Dispatcher(Communicator& communicator, const WorkSource& source, const WorkEvents& events,
             const StopPolicy& stop);

  /// Takes one report of a rank.
  void take(const Message& report);
  /// Hands out items, ticks, begins to stop and ends the work, each when it is due. RankLost where
  /// a rank has been silent for too long.
  void poll();
  /// Every rank has said goodbye: none of their messages is under way.
  bool finished() const { return goodbyes_ == communicator_.size(); }

 private:
  double now() const;
  void send(int rank, Tag tag, Bytes payload = {});
  /// False where the event could not write and so ended the work.
  template <class Event, class... Facts>
  bool tell(const Event& event, const Facts&... facts);
  void end_by_output_error(const std::string& message);
  void retire(int rank, const ItemNote& note);
  void begin_stop();
  void hand_out();
  void listen();
  bool stop_is_due() const;
  WorkOutcome outcome() const;

  Communicator& communicator_;
  const WorkSource& source_;
  const WorkEvents& events_;
  const StopPolicy& stop_;
  const std::chrono::steady_clock::time_point start_;
  Coordinator coordinator_;
  Silence silence_;
  double next_tick_ = 0;
  std::optional<std::string> output_error_, device_error_;  // that ended the work
  bool finish_sent_ = false;
  int goodbyes_ = 0;
};

}  // namespace rvsweep
