#include "scheduler/messages.hpp"

#include <cstring>
#include <type_traits>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

template <class Head>
Bytes join(const Head& head, std::span<const std::byte> body) {
  static_assert(std::is_trivially_copyable_v<Head>);
  Bytes bytes(sizeof head + body.size());
  std::memcpy(bytes.data(), &head, sizeof head);
  if (!body.empty()) std::memcpy(bytes.data() + sizeof head, body.data(), body.size());
  return bytes;
}

/// Reads the head and returns what follows it.
template <class Head>
std::span<const std::byte> split(const Bytes& bytes, Head& head) {
  RVSWEEP_EXPECT(bytes.size() >= sizeof head, "a message between ranks is cut short");
  std::memcpy(&head, bytes.data(), sizeof head);
  return std::span(bytes).subspan(sizeof head);
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct ActivityHead {
  bool computing;
  std::int32_t item;
  double seconds;
};

struct OutcomeHead {
  int items, done, failed;
  bool stopped_early, output_error;
};

}  // namespace

Bytes encode_note(std::int32_t id, std::span<const std::byte> body) { return join(id, body); }

Bytes encode_note(std::int32_t id, std::string_view text) { return join(id, bytes_of(text)); }

ItemNote decode_note(const Bytes& bytes) {
  ItemNote note;
  const auto body = split(bytes, note.id);
  note.body.assign(body.begin(), body.end());
  return note;
}

Bytes encode_activity(const Activity& activity) {
  return join(ActivityHead{activity.item.has_value(), activity.item.value_or(0), activity.seconds},
              {});
}

Activity decode_activity(const Bytes& bytes) {
  ActivityHead head;
  split(bytes, head);
  return {head.computing ? std::optional(head.item) : std::nullopt, head.seconds};
}

Bytes encode_outcome(const WorkOutcome& outcome) {
  return join(OutcomeHead{outcome.items, outcome.done, outcome.failed, outcome.stopped_early,
                          outcome.output_error.has_value()},
              bytes_of(outcome.output_error.value_or("")));
}

WorkOutcome decode_outcome(const Bytes& bytes) {
  OutcomeHead head;
  const std::string message = text_of(split(bytes, head));
  return {head.items, head.done, head.failed, head.stopped_early,
          head.output_error ? std::optional(message) : std::nullopt};
}

std::string decode_text(const Bytes& bytes) { return text_of(bytes); }

}  // namespace rvsweep
