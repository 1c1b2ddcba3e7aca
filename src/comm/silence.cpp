#include "rvsweep/comm/silence.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace rvsweep {

RankLost::RankLost(const std::string& who, Seconds limit)
    : std::runtime_error(
          fmt::format("{} gave no sign of life for more than {:g} s (stopped, cut off or dead)",
                      who, limit.count())) {}

Silence::Silence(int ranks, std::optional<Seconds> limit, Time now)
    : limit_(limit), last_listened_(now), last_heard_(ranks, Seconds(0)) {}

void Silence::listened(Time now) {
  awake_ += std::clamp(Seconds(now - last_listened_), Seconds(0), longest_gap);
  last_listened_ = now;
}

std::optional<int> Silence::lost_rank() const {
  if (!limit_) return std::nullopt;
  for (std::size_t rank = 0; rank < last_heard_.size(); ++rank)
    if (last_heard_[rank] && awake_ - *last_heard_[rank] > *limit_) return static_cast<int>(rank);
  return std::nullopt;
}

}  // namespace rvsweep
