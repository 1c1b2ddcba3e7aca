#pragma once
// Who does what next: the state of the work on rank 0, without any input or output. Times are
// seconds since its start.
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "rvsweep/scheduler/snapshot.hpp"
#include "rvsweep/scheduler/work.hpp"

namespace rvsweep {

/// Every item is pending, held by a rank, done or failed. A rank holds at most two: the one that it
/// computes or commits and its next. The second is given only while more items are pending than
/// there are ranks, so that at the end no item waits behind another while a rank is idle.
/// Items with failed attempts, and those at which a device broke, come after all others. The last
/// attempt of one that has failed before runs while no rank holds anything else: if it ends the
/// process, no other item is lost with it. Item ids and ranks that do not exist are ContractErrors.
class Coordinator {
 public:
  /// Every item has fewer than `max_attempts` failed attempts.
  Coordinator(const std::vector<WorkItem>& items, int ranks, int max_attempts);

  /// A rank gets nothing before it is ready.
  void rank_ready(int rank, double now);
  /// Hands out what can be handed out, idle ranks first; afterwards their ranks hold these items.
  std::vector<Assignment> assign(double now);

  /// False where the item was settled before: a late or repeated report changes nothing.
  bool item_done(std::int32_t id, int rank, double now);
  /// Failed attempts of the item so far; max_attempts: it is failed for good. Nothing where the
  /// item was settled before or is no longer held by the rank.
  std::optional<int> item_failed(std::int32_t id, int rank, double now);
  /// The rank gave back an item that it did not start or could not finish.
  void item_returned(std::int32_t id, int rank, double now);
  /// The rank can compute no more and gave the item back: nothing is handed to it again. The item
  /// has failed no attempt, but may have broken the device: it goes behind the others.
  void rank_broken(int rank, std::int32_t id, double now);
  void heartbeat(int rank, const Activity& activity, double now);

  /// Nothing more is handed out.
  void stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }
  /// Ranks that can still compute, ready or not.
  int ranks_left() const { return static_cast<int>(ranks_.size()) - broken_; }
  /// No rank holds an item and none will be handed out.
  bool finished() const {
    return held_ == 0 && (stopping_ || pending_.empty() || ranks_left() == 0);
  }
  bool holds_items(int rank) const { return !ranks_.at(rank).held.empty(); }

  Snapshot snapshot(double now) const;

 private:
  enum class ItemState { pending, held, done, failed };
  struct Item {
    double cost;
    int attempts;
    int devices_broken = 0;
    ItemState state = ItemState::pending;
  };
  struct Rank {
    bool ready = false;              // and not broken
    std::vector<std::int32_t> held;  // in the order they were handed out, at most 2
    int items_done = 0;
    Activity activity;  // as last told, or as it follows from `held`
    double activity_told = 0;
    double last_sign_of_life = 0;
  };
  struct Pending {
    int setbacks;  // failed attempts and broken devices
    double cost;
    std::int32_t id;
    bool operator<(const Pending& b) const {
      if (setbacks != b.setbacks) return setbacks < b.setbacks;
      return cost != b.cost ? cost > b.cost : id < b.id;
    }
  };

  static Pending pending(std::int32_t id, const Item& item) {
    return {item.attempts + item.devices_broken, item.cost, id};
  }
  Item& item_at(std::int32_t id);
  Rank& rank_at(int rank);
  Rank& sign_of_life(int rank, double now);
  bool release(std::int32_t id, int rank, double now);
  bool runs_alone(const Item& item) const;
  bool may_give() const;
  Assignment give_next(int rank, double now);
  void note_load(int rank, double now);

  std::unordered_map<std::int32_t, Item> items_;
  std::set<Pending> pending_;
  std::vector<Rank> ranks_;
  std::set<int> idle_;      // ready ranks that hold nothing
  std::set<int> with_one_;  // ready ranks that hold one item
  int max_attempts_;
  int broken_ = 0;  // ranks
  int held_ = 0;
  bool alone_ = false;  // the one item held is on its last attempt
  int done_ = 0;
  int failed_ = 0;
  bool stopping_ = false;
};

}  // namespace rvsweep
