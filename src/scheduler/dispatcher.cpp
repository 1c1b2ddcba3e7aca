#include "rvsweep/scheduler/dispatcher.hpp"

#include <string>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr double tick_interval = 1;  // seconds

}  // namespace

Dispatcher::Dispatcher(Communicator& communicator, const WorkSource& source,
                       const SweepEvents& events, const StopPolicy& stop)
    : communicator_(communicator),
      source_(source),
      events_(events),
      stop_(stop),
      start_(std::chrono::steady_clock::now()),
      coordinator_(source.items, communicator.size()) {}

double Dispatcher::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Dispatcher::send(int rank, Tag tag, Bytes payload) {
  communicator_.send(rank, static_cast<int>(tag), std::move(payload));
}

template <class Event, class... Facts>
void Dispatcher::tell(const Event& event, const Facts&... facts) {
  if (!event) return;
  try {
    event(facts...);
  } catch (const OutputError& error) {
    end_by_output_error(error.what());
  }
}

void Dispatcher::end_by_output_error(const std::string& message) {
  if (!output_error_) output_error_ = message;
  begin_stop();
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
  switch (static_cast<Tag>(report.tag)) {
    case Tag::ready:
      return coordinator_.rank_ready(rank, now());
    case Tag::done: {
      const ItemNote note = decode_note(report.payload);
      if (coordinator_.item_done(note.id, rank, now()))
        tell(events_.on_done, note.id, rank, note.body);
      return;
    }
    case Tag::failed: {
      const ItemNote note = decode_note(report.payload);
      if (coordinator_.item_failed(note.id, rank, now()))
        tell(events_.on_failed, note.id, rank, decode_text(note.body));
      return;
    }
    case Tag::returned:
      return coordinator_.item_returned(decode_note(report.payload).id, rank, now());
    case Tag::output_error: {
      const ItemNote note = decode_note(report.payload);
      end_by_output_error(decode_text(note.body));
      return coordinator_.item_returned(note.id, rank, now());
    }
    case Tag::heartbeat:
      return coordinator_.heartbeat(rank, decode_activity(report.payload), now());
    case Tag::stop:
      return begin_stop();
    case Tag::goodbye:
      ++goodbyes_;
      return;
    default:
      RVSWEEP_EXPECT(false, "tag " + std::to_string(report.tag) + " is no report to rank 0");
  }
}

void Dispatcher::poll() {
  if (finish_sent_) return;
  if (stop_is_due()) begin_stop();
  for (const Assignment& next : coordinator_.assign(now()))
    send(next.rank, Tag::assign, encode_note(next.id, source_.payload(next.id)));
  const bool finished = coordinator_.finished();
  if (finished || now() >= next_tick_) {
    next_tick_ = now() + tick_interval;
    tell(events_.on_tick, coordinator_.snapshot(now()));
  }
  if (!finished) return;
  finish_sent_ = true;
  for (int rank = 0; rank < communicator_.size(); ++rank)
    send(rank, Tag::finish, encode_outcome(outcome()));
}

SweepOutcome Dispatcher::outcome() const {
  const Snapshot state = coordinator_.snapshot(now());
  SweepOutcome outcome{state.items, state.done, state.failed, false, output_error_};
  outcome.stopped_early = outcome.left() > 0 && !output_error_;
  return outcome;
}

}  // namespace rvsweep
