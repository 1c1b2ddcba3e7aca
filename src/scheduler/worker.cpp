#include "scheduler/worker.hpp"

#include <string>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr std::chrono::seconds heartbeat_interval{1};

Tag tag_of(ResultKind kind) {
  switch (kind) {
    case ResultKind::done:
      return Tag::done;
    case ResultKind::failed:
      return Tag::failed;
    case ResultKind::device_error:
      return Tag::device_error;
    case ResultKind::out_of_memory:
      return Tag::out_of_memory;
    case ResultKind::output_error:
      break;
  }
  return Tag::output_error;
}

}  // namespace

Worker::Worker(Communicator& communicator, const Executor& executor, const StopPolicy& stop)
    : communicator_(communicator),
      stop_requested_(stop.stop_requested),
      next_heartbeat_(std::chrono::steady_clock::now() + heartbeat_interval),
      rank_zero_(1, stop.rank_timeout),
      compute_(executor) {
  report(Tag::ready);
}

void Worker::report(Tag tag, Bytes payload) {
  communicator_.send(0, static_cast<int>(tag), std::move(payload));
}

void Worker::obey(const Message& order) {
  rank_zero_.heard(0);
  switch (static_cast<Tag>(order.tag)) {
    case Tag::assign: {
      auto note = from_bytes<ItemNote>(order.payload);
      compute_.submit(note.id, std::move(note.body));
      return;
    }
    case Tag::withdraw:
      for (std::int32_t id : compute_.withdraw()) report(Tag::returned, to_bytes(ItemNote{id}));
      return;
    case Tag::pulse:
      return;
    case Tag::finish:
      outcome_ = from_bytes<WorkOutcome>(order.payload);
      report(Tag::goodbye);
      return;
    default:
      RVSWEEP_UNREACHABLE("tag " + std::to_string(order.tag) + " is no order to a rank");
  }
}

bool Worker::poll() {
  if (outcome_) return false;  // goodbye was the last message
  const std::vector<ComputeResult> results = compute_.take_results();
  for (const ComputeResult& result : results)
    report(tag_of(result.kind), to_bytes(ItemNote{result.id, result.outcome, result.message}));
  if (!stop_reported_ && stop_requested_ && stop_requested_()) {
    stop_reported_ = true;
    report(Tag::stop);
  }
  const auto now = std::chrono::steady_clock::now();
  rank_zero_.listened(now);
  if (rank_zero_.lost_rank()) throw RankLost("rank 0", rank_zero_.limit());
  if (now >= next_heartbeat_) {
    next_heartbeat_ = now + heartbeat_interval;
    report(Tag::heartbeat, to_bytes(compute_.activity()));
  }
  return !results.empty();
}

}  // namespace rvsweep
