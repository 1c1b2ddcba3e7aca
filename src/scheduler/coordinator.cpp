#include "scheduler/coordinator.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

Coordinator::Coordinator(const std::vector<WorkItem>& items, int ranks, int max_attempts)
    : ranks_(ranks), max_attempts_(max_attempts) {
  RVSWEEP_EXPECT(ranks > 0, "work needs a rank");
  items_.reserve(items.size());
  for (const auto& [id, cost, attempts] : items) {
    RVSWEEP_EXPECT(id >= 0, "item ids are 0 or more, not " + std::to_string(id));
    RVSWEEP_EXPECT(std::isfinite(cost), "item " + std::to_string(id) + " has no finite cost");
    RVSWEEP_EXPECT(attempts >= 0 && attempts < max_attempts,
                   "item " + std::to_string(id) + " has an attempt left");
    RVSWEEP_EXPECT(items_.emplace(id, Item{cost, attempts}).second,
                   "item " + std::to_string(id) + " is listed twice");
    pending_.insert({attempts, cost, id});
  }
}

Coordinator::Item& Coordinator::item_at(std::int32_t id) {
  const auto found = items_.find(id);
  RVSWEEP_EXPECT(found != items_.end(), "there is no item " + std::to_string(id));
  return found->second;
}

Coordinator::Rank& Coordinator::rank_at(int rank) {
  RVSWEEP_EXPECT(rank >= 0 && rank < static_cast<int>(ranks_.size()),
                 "there is no rank " + std::to_string(rank));
  return ranks_[rank];
}

Coordinator::Rank& Coordinator::sign_of_life(int rank, double now) {
  Rank& state = rank_at(rank);
  state.last_sign_of_life = now;
  return state;
}

void Coordinator::rank_ready(int rank, double now) {
  sign_of_life(rank, now).ready = true;
  note_load(rank, now);
}

/// Follows a change of what a rank holds. Until its next heartbeat it is taken to work on the
/// first.
void Coordinator::note_load(int rank, double now) {
  Rank& state = ranks_[rank];
  idle_.erase(rank);
  with_one_.erase(rank);
  if (state.ready && state.held.empty()) idle_.insert(rank);
  if (state.ready && state.held.size() == 1) with_one_.insert(rank);
  const auto first = state.held.empty() ? std::nullopt : std::optional(state.held.front());
  if (state.activity.item == first) return;
  state.activity = {first, 0};
  state.activity_told = now;
}

std::vector<Assignment> Coordinator::assign(double now) {
  std::vector<Assignment> assignments;
  if (stopping_) return assignments;
  while (!idle_.empty() && may_give()) assignments.push_back(give_next(*idle_.begin(), now));
  while (pending_.size() > ranks_.size() && !with_one_.empty() && may_give())
    assignments.push_back(give_next(*with_one_.begin(), now));
  return assignments;
}

bool Coordinator::runs_alone(const Item& item) const {
  return item.attempts > 0 && item.attempts + 1 == max_attempts_;
}

bool Coordinator::may_give() const {
  if (pending_.empty() || alone_) return false;
  return held_ == 0 || !runs_alone(items_.at(pending_.begin()->id));
}

Assignment Coordinator::give_next(int rank, double now) {
  const std::int32_t id = pending_.begin()->id;
  pending_.erase(pending_.begin());
  Item& item = item_at(id);
  item.state = ItemState::held;
  alone_ = runs_alone(item);
  ranks_[rank].held.push_back(id);
  ++held_;
  note_load(rank, now);
  return {id, rank};
}

/// False where the rank did not hold the item.
bool Coordinator::release(std::int32_t id, int rank, double now) {
  Rank& state = sign_of_life(rank, now);
  const auto found = std::find(state.held.begin(), state.held.end(), id);
  if (found == state.held.end()) return false;
  state.held.erase(found);
  --held_;
  alone_ = false;
  note_load(rank, now);
  return true;
}

bool Coordinator::item_done(std::int32_t id, int rank, double now) {
  Item& item = item_at(id);
  release(id, rank, now);
  if (item.state == ItemState::done || item.state == ItemState::failed) return false;
  if (item.state == ItemState::pending) pending_.erase(pending(id, item));
  item.state = ItemState::done;
  ++done_;
  ++ranks_[rank].items_done;
  return true;
}

std::optional<int> Coordinator::item_failed(std::int32_t id, int rank, double now) {
  Item& item = item_at(id);
  if (!release(id, rank, now) || item.state != ItemState::held) return std::nullopt;
  if (++item.attempts < max_attempts_) {
    item.state = ItemState::pending;
    pending_.insert(pending(id, item));
  } else {
    item.state = ItemState::failed;
    ++failed_;
  }
  return item.attempts;
}

void Coordinator::item_returned(std::int32_t id, int rank, double now) {
  Item& item = item_at(id);
  if (!release(id, rank, now) || item.state != ItemState::held) return;
  item.state = ItemState::pending;
  pending_.insert(pending(id, item));
}

void Coordinator::rank_broken(int rank, std::int32_t id, double now) {
  if (std::exchange(rank_at(rank).ready, false)) ++broken_;
  ++item_at(id).devices_broken;
  item_returned(id, rank, now);
}

void Coordinator::heartbeat(int rank, const Activity& activity, double now) {
  Rank& state = sign_of_life(rank, now);
  state.activity = activity;
  state.activity_told = now;
}

Snapshot Coordinator::snapshot(double now) const {
  Snapshot snapshot;
  snapshot.seconds = now;
  snapshot.items = static_cast<int>(items_.size());
  snapshot.done = done_;
  snapshot.failed = failed_;
  snapshot.pending = static_cast<int>(pending_.size());
  snapshot.held = snapshot.items - done_ - failed_ - snapshot.pending;
  snapshot.stopping = stopping_;
  for (const Rank& rank : ranks_) {
    Activity activity = rank.activity;
    if (activity.item) activity.seconds += now - rank.activity_told;
    snapshot.ranks.push_back({rank.ready, rank.items_done, activity, now - rank.last_sign_of_life});
  }
  return snapshot;
}

}  // namespace rvsweep
