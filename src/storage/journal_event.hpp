#pragma once
// The lines of DIR/journal.jsonl: one JSON object each.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rvsweep {

struct JournalEvent {
  std::string event;  // launch, handed_out, done, failed, returned, set_aside, seen_alive or lost
  // Members that the event lacks have these defaults.
  std::string sweep;         // launch: fingerprint
  std::int32_t bundle = -1;  // handed_out to set_aside
  int rank = -1;
  std::string reason;                   // failed, set_aside
  std::vector<std::int32_t> died_in{};  // launch: bundles that the launch before it is blamed on
};

/// The event of a line; none where the line is no event.
std::optional<JournalEvent> parse_journal_event(const std::string& line);

}  // namespace rvsweep
