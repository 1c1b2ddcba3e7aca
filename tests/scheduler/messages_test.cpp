#include "scheduler/messages.hpp"

#include <gtest/gtest.h>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

TEST(Messages, ItemNotesComeBack) {
  const Bytes body = {std::byte{0}, std::byte{255}, std::byte{7}};
  for (const Bytes& sent : {Bytes{}, body}) {
    const ItemNote note = decode_note(encode_note(123456, sent));
    EXPECT_EQ(note.id, 123456);
    EXPECT_EQ(note.body, sent);
  }
  const ItemNote text = decode_note(encode_note(2, "full disk"));
  EXPECT_EQ(text.id, 2);
  EXPECT_EQ(decode_text(text.body), "full disk");
}

TEST(Messages, ActivitiesComeBack) {
  const Activity computing = decode_activity(encode_activity({17, 2.5}));
  EXPECT_EQ(computing.item, 17);
  EXPECT_EQ(computing.seconds, 2.5);
  EXPECT_FALSE(decode_activity(encode_activity({})).item.has_value());
}

TEST(Messages, OutcomesComeBack) {
  const WorkOutcome plain = decode_outcome(encode_outcome({10, 6, 1, true, std::nullopt}));
  EXPECT_EQ(plain.items, 10);
  EXPECT_EQ(plain.done, 6);
  EXPECT_EQ(plain.failed, 1);
  EXPECT_EQ(plain.left(), 3);
  EXPECT_TRUE(plain.stopped_early);
  EXPECT_FALSE(plain.output_error.has_value());
  const WorkOutcome broken = decode_outcome(encode_outcome({10, 6, 1, false, ""}));
  EXPECT_FALSE(broken.stopped_early);
  EXPECT_EQ(broken.output_error, "") << "an error without a message is an error";
}

TEST(Messages, CutShortIsRefused) {
  EXPECT_THROW(decode_note(Bytes(3)), ContractError);
  EXPECT_THROW(decode_activity(Bytes(3)), ContractError);
  EXPECT_THROW(decode_outcome(Bytes(3)), ContractError);
}

}  // namespace
}  // namespace rvsweep
