#include "scheduler/messages.hpp"

#include <gtest/gtest.h>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

TEST(Messages, ItemNotesComeBack) {
  const Bytes body = {std::byte{0}, std::byte{255}, std::byte{7}};
  for (const ItemNote& sent : {ItemNote{123456}, ItemNote{1, body}, ItemNote{2, {}, "full disk"}}) {
    const auto note = from_bytes<ItemNote>(to_bytes(sent));
    EXPECT_EQ(note.id, sent.id);
    EXPECT_EQ(note.body, sent.body);
    EXPECT_EQ(note.reason, sent.reason);
  }
}

TEST(Messages, ActivitiesComeBack) {
  const auto computing = from_bytes<Activity>(to_bytes(Activity{17, 2.5}));
  EXPECT_EQ(computing.item, 17);
  EXPECT_EQ(computing.seconds, 2.5);
  EXPECT_FALSE(from_bytes<Activity>(to_bytes(Activity{})).item.has_value());
}

TEST(Messages, OutcomesComeBack) {
  const auto plain = from_bytes<WorkOutcome>(to_bytes(WorkOutcome{10, 6, 1, true, std::nullopt}));
  EXPECT_EQ(plain.items, 10);
  EXPECT_EQ(plain.done, 6);
  EXPECT_EQ(plain.failed, 1);
  EXPECT_EQ(plain.left(), 3);
  EXPECT_TRUE(plain.stopped_early);
  EXPECT_FALSE(plain.output_error.has_value());
  const auto broken = from_bytes<WorkOutcome>(to_bytes(WorkOutcome{10, 6, 1, false, ""}));
  EXPECT_FALSE(broken.stopped_early);
  EXPECT_EQ(broken.output_error, "") << "an error without a message is an error";
  EXPECT_FALSE(broken.device_error.has_value());
  const WorkOutcome without_device{10, 6, 1, false, std::nullopt, "cuda:0 fails"};
  EXPECT_EQ(from_bytes<WorkOutcome>(to_bytes(without_device)).device_error, "cuda:0 fails");
}

TEST(Messages, CutShortIsRefused) {
  EXPECT_THROW(from_bytes<ItemNote>(Bytes(3)), ContractError);
  EXPECT_THROW(from_bytes<Activity>(Bytes(3)), ContractError);
  EXPECT_THROW(from_bytes<WorkOutcome>(Bytes(3)), ContractError);
}

}  // namespace
}  // namespace rvsweep
