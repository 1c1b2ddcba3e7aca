#pragma once
// What every rank is doing, as far as rank 0 has heard.
#include <cstdint>
#include <optional>
#include <vector>

namespace rvsweep {

/// What a rank computes right now.
struct Activity {
  std::optional<std::int32_t> item;  // none: idle
  double seconds = 0;                // spent on the item so far
};

struct RankSnapshot {
  bool ready = false;  // it takes items
  int items_done = 0;
  Activity activity;
  double seconds_since_sign_of_life = 0;  // since the start where it gave none
};

struct Snapshot {
  double seconds = 0;  // since the start
  int items = 0;       // = done + failed + held + pending
  int done = 0;
  int failed = 0;
  int held = 0;  // handed out, not yet reported
  int pending = 0;
  bool stopping = false;            // nothing more is handed out
  std::vector<RankSnapshot> ranks;  // by rank
};

}  // namespace rvsweep
