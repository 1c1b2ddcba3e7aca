#include "scheduler/dispatcher.hpp"

#include <string>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr double tick_interval = 1;  // seconds

}  // namespace

Dispatcher::Dispatcher(Communicator& communicator, const WorkSource& source,
                       const WorkEvents& events, const StopPolicy& stop)
    : communicator_(communicator),
      source_(source),
      events_(events),
      stop_(stop),
      start_(std::chrono::steady_clock::now()),
      coordinator_(source.items, communicator.size(), source.max_attempts),
      silence_(communicator.size(), stop.rank_timeout, start_) {}

double Dispatcher::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Dispatcher::send(int rank, Tag tag, Bytes payload) {
  communicator_.send(rank, static_cast<int>(tag), std::move(payload));
}

template <class Event, class... Facts>
bool Dispatcher::tell(const Event& event, const Facts&... facts) {
  if (!event) return true;
  try {
    event(facts...);
    return true;
  } catch (const OutputError& error) {
    end_by_output_error(error.what());
    return false;
  }
}

void Dispatcher::end_by_output_error(const std::string& message) {
  if (!output_error_) output_error_ = message;
  begin_stop();
}

/// The rank's device is broken: others compute what it held.
void Dispatcher::retire(int rank, const ItemNote& note) {
  coordinator_.rank_broken(rank, note.id, now());
  if (coordinator_.holds_items(rank)) send(rank, Tag::withdraw);
  if (coordinator_.ranks_left() == 0) device_error_ = note.reason;
  tell(events_.on_returned, note.id, rank);
  tell(events_.on_device_error, note.id, rank, note.reason);
}

/// Each item held is then either reported or given back.
void Dispatcher::begin_stop() {
  if (coordinator_.stopping()) return;
  coordinator_.stop();
  for (int rank = 0; rank < communicator_.size(); ++rank)
    if (coordinator_.holds_items(rank)) send(rank, Tag::withdraw);
}

bool Dispatcher::stop_is_due() const {
  return (stop_.stop_requested && stop_.stop_requested()) ||
         (stop_.max_time && now() >= stop_.max_time->count());
}

void Dispatcher::take(const Message& report) {
  const int rank = report.from;
  silence_.heard(rank);
  switch (static_cast<Tag>(report.tag)) {
    case Tag::ready:
      return coordinator_.rank_ready(rank, now());
    case Tag::done: {
      const auto note = from_bytes<ItemNote>(report.payload);
      if (coordinator_.item_done(note.id, rank, now()))
        tell(events_.on_done, note.id, rank, note.body);
      return;
    }
    case Tag::failed: {
      const auto note = from_bytes<ItemNote>(report.payload);
      if (const auto attempts = coordinator_.item_failed(note.id, rank, now()))
        tell(events_.on_failed, FailedAttempt{note.id, rank, note.reason, *attempts,
                                              *attempts == source_.max_attempts});
      return;
    }
    case Tag::returned: {
      const auto note = from_bytes<ItemNote>(report.payload);
      coordinator_.item_returned(note.id, rank, now());
      tell(events_.on_returned, note.id, rank);
      return;
    }
    case Tag::output_error: {
      const auto note = from_bytes<ItemNote>(report.payload);
      end_by_output_error(note.reason);
      coordinator_.item_returned(note.id, rank, now());
      tell(events_.on_returned, note.id, rank);
      return;
    }
    case Tag::out_of_memory: {
      const auto note = from_bytes<ItemNote>(report.payload);
      if (!device_error_) device_error_ = note.reason;
      begin_stop();
      coordinator_.item_returned(note.id, rank, now());
      tell(events_.on_returned, note.id, rank);
      return;
    }
    case Tag::device_error:
      return retire(rank, from_bytes<ItemNote>(report.payload));
    case Tag::heartbeat:
      return coordinator_.heartbeat(rank, from_bytes<Activity>(report.payload), now());
    case Tag::stop:
      tell(events_.on_stop_seen, rank);
      return begin_stop();
    case Tag::goodbye:
      silence_.dismiss(rank);
      ++goodbyes_;
      return;
    default:
      RVSWEEP_UNREACHABLE("tag " + std::to_string(report.tag) + " is no report to rank 0");
  }
}

void Dispatcher::hand_out() {
  const std::vector<Assignment> assignments = coordinator_.assign(now());
  if (assignments.empty()) return;
  if (tell(events_.on_assigned, assignments)) {
    for (const auto& [id, rank] : assignments)
      send(rank, Tag::assign, to_bytes(ItemNote{id, source_.payload(id)}));
  } else {
    for (const auto& [id, rank] : assignments) coordinator_.item_returned(id, rank, now());
  }
}

void Dispatcher::listen() {
  silence_.listened();
  const auto lost = silence_.lost_rank();
  if (!lost) return;
  tell(events_.on_rank_lost, *lost);
  throw RankLost("rank " + std::to_string(*lost), silence_.limit());
}

void Dispatcher::poll() {
  listen();
  if (finish_sent_) return;
  const bool tick = now() >= next_tick_;
  if (tick) {
    next_tick_ = now() + tick_interval;
    if (stop_.rank_timeout)
      for (int rank = 0; rank < communicator_.size(); ++rank) send(rank, Tag::pulse);
  }
  if (stop_is_due()) begin_stop();
  hand_out();
  const bool finished = coordinator_.finished();
  if (finished || tick) tell(events_.on_tick, coordinator_.snapshot(now()));
  if (!finished) return;
  finish_sent_ = true;
  for (int rank = 0; rank < communicator_.size(); ++rank)
    send(rank, Tag::finish, to_bytes(outcome()));
}

WorkOutcome Dispatcher::outcome() const {
  const Snapshot state = coordinator_.snapshot(now());
  WorkOutcome outcome{state.items, state.done, state.failed, false, output_error_};
  if (outcome.left() > 0) outcome.device_error = device_error_;
  outcome.stopped_early = outcome.left() > 0 && !output_error_ && !device_error_;
  return outcome;
}

}  // namespace rvsweep
