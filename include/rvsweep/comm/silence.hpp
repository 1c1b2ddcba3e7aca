#pragma once
// Which rank has been silent for too long.
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace rvsweep {

using Seconds = std::chrono::duration<double>;

/// A rank gave no sign of life for too long: it is stopped, cut off or dead.
class RankLost : public std::runtime_error {
 public:
  RankLost(const std::string& who, Seconds limit);
};

/// Only time in which the listener listens counts: during a pause of its own (stopped, suspended,
/// busy) the messages of the others wait, and their silence says nothing.
class Silence {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// `limit`: how long a rank may be silent; none: for ever.
  Silence(int ranks, std::optional<Seconds> limit, Time now = std::chrono::steady_clock::now());

  /// The listener has looked for messages; called at least every `longest_gap` while it is awake.
  void listened(Time now = std::chrono::steady_clock::now());
  void heard(int rank) { last_heard_.at(rank) = awake_; }
  /// The rank is not listened to any more.
  void dismiss(int rank) { last_heard_.at(rank).reset(); }
  /// The first rank that was silent for longer than the limit.
  std::optional<int> lost_rank() const;
  Seconds limit() const { return *limit_; }

  static constexpr Seconds longest_gap{0.5};

 private:
  std::optional<Seconds> limit_;
  Time last_listened_;
  Seconds awake_{0};  // spent listening
  std::vector<std::optional<Seconds>> last_heard_;
};

}  // namespace rvsweep
