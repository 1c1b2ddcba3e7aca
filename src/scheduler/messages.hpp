#pragma once
// What ranks say to each other while they work: a tag and the bytes of what stands beside it here.
#include <cstdint>
#include <string>
#include <tuple>

#include "rvsweep/scheduler/work.hpp"

namespace rvsweep {

enum class Tag : int {
  // rank 0 to a rank
  assign,    // ItemNote: compute this
  withdraw,  // give back what has not started
  pulse,     // rank 0 lives
  finish,    // WorkOutcome: the work is over
  // a rank to rank 0
  ready,
  done,           // ItemNote
  failed,         // ItemNote
  returned,       // ItemNote: not started
  output_error,   // ItemNote: the work must end
  device_error,   // ItemNote: the rank can compute no more
  out_of_memory,  // ItemNote: nor can ranks like it: the work must end
  heartbeat,      // Activity: what the rank computes
  stop,           // the rank was asked to stop
  goodbye         // the last message
};

inline bool is_order(Tag tag) { return tag <= Tag::finish; }

/// A message about one item, with what its tag calls for.
struct ItemNote {
  std::int32_t id = 0;
  Bytes body = {};          // payload or outcome
  std::string reason = {};  // why it failed
  static auto fields(auto& self) { return std::tie(self.id, self.body, self.reason); }
};

}  // namespace rvsweep
