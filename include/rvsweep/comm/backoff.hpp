#pragma once
// How long a polling loop sleeps, so that waiting costs no core time that the computation needs.
#include <algorithm>
#include <chrono>

namespace rvsweep {

/// 20 us right after something happened, doubling to 4 ms while nothing does.
class Backoff {
 public:
  std::chrono::microseconds next() {
    const auto pause = pause_;
    pause_ = std::min(2 * pause_, longest);
    return pause;
  }
  void reset() { pause_ = shortest; }

 private:
  static constexpr std::chrono::microseconds shortest{20};
  static constexpr std::chrono::microseconds longest{4000};
  std::chrono::microseconds pause_ = shortest;
};

}  // namespace rvsweep
