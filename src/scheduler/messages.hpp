#pragma once
// What ranks say to each other during a sweep, and its bytes. All ranks run the same binary on the
// same kind of machine, so numbers travel as they lie in memory.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "rvsweep/scheduler/work.hpp"

namespace rvsweep {

enum class Tag : int {
  // rank 0 to a rank
  assign,    // item, its payload
  withdraw,  // give back what has not started
  pulse,     // rank 0 lives
  finish,    // the sweep is over: its outcome
  // a rank to rank 0
  ready,
  done,          // item, its outcome
  failed,        // item, reason
  returned,      // item: not started
  output_error,  // item, message: the sweep must end
  heartbeat,     // what the rank computes
  stop,          // the rank was asked to stop
  goodbye        // the last message
};

inline bool is_order(Tag tag) { return tag <= Tag::finish; }

/// A message about one item.
struct ItemNote {
  std::int32_t id = 0;
  Bytes body;
};

Bytes encode_note(std::int32_t id, std::span<const std::byte> body = {});
Bytes encode_note(std::int32_t id, std::string_view text);
Bytes encode_activity(const Activity& activity);
Bytes encode_outcome(const WorkOutcome& outcome);

/// Bytes that no encode_ made are a ContractError.
ItemNote decode_note(const Bytes& bytes);
Activity decode_activity(const Bytes& bytes);
WorkOutcome decode_outcome(const Bytes& bytes);
std::string decode_text(const Bytes& bytes);

}  // namespace rvsweep
