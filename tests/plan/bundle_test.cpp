#include "rvsweep/plan/bundle.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/wire.hpp"

namespace rvsweep {
namespace {

Bundle sample() {
  Bundle bundle;
  bundle.id = BundleId(12);
  bundle.shape = {8, 48, 16};
  bundle.cost = 1184.5;
  bundle.contexts = {
      {PromptIndex(3), {1, 2, 49151}, "erkenne dich selbst: γνῶθι σεαυτόν", true, 2},
      {PromptIndex(4), {}, std::string("a\0b\xff\xc3", 5), false},  // bytes, not only UTF-8
  };
  bundle.rows = {
      {RowIndex(std::int64_t{1} << 40),
       ArmIndex(2),
       7,
       std::numeric_limits<std::uint64_t>::max(),
       1,
       1,
       0,
       {{0, {{4, 9}, {7}}}, {3, {}}}},
      {RowIndex(0), ArmIndex(0), 0, 0, 0},
  };
  bundle.derived = {{Derivation::shuffled, 1, 20, 19, "a pair"}, {Derivation::mean, -1, 7}};
  return bundle;
}

TEST(Bundle, EveryFieldTravels) {
  const Bundle sent = sample();
  const auto arrived = from_bytes<Bundle>(to_bytes(sent));
  EXPECT_EQ(arrived.id, sent.id);
  EXPECT_EQ(arrived.shape.contexts, 8);
  EXPECT_EQ(arrived.shape.prompt_length, 48);
  EXPECT_EQ(arrived.shape.rows, 16);
  EXPECT_EQ(arrived.cost, sent.cost);
  ASSERT_EQ(arrived.contexts.size(), sent.contexts.size());
  for (std::size_t i = 0; i < sent.contexts.size(); ++i) {
    EXPECT_EQ(arrived.contexts[i].prompt, sent.contexts[i].prompt);
    EXPECT_EQ(arrived.contexts[i].tokens, sent.contexts[i].tokens);
    EXPECT_EQ(arrived.contexts[i].text, sent.contexts[i].text);
    EXPECT_EQ(arrived.contexts[i].records_prompt, sent.contexts[i].records_prompt);
    EXPECT_EQ(arrived.contexts[i].tokens_after_window, sent.contexts[i].tokens_after_window);
  }
  EXPECT_EQ(arrived.derived, sent.derived);
  ASSERT_EQ(arrived.rows.size(), sent.rows.size());
  for (std::size_t i = 0; i < sent.rows.size(); ++i) {
    EXPECT_EQ(arrived.rows[i].row, sent.rows[i].row);
    EXPECT_EQ(arrived.rows[i].arm, sent.rows[i].arm);
    EXPECT_EQ(arrived.rows[i].sample, sent.rows[i].sample);
    EXPECT_EQ(arrived.rows[i].pair_hash, sent.rows[i].pair_hash);
    EXPECT_EQ(arrived.rows[i].base, sent.rows[i].base);
    EXPECT_EQ(arrived.rows[i].reference, sent.rows[i].reference);
    EXPECT_EQ(arrived.rows[i].counterpart, sent.rows[i].counterpart);
    ASSERT_EQ(arrived.rows[i].donors.size(), sent.rows[i].donors.size());
    for (std::size_t d = 0; d < sent.rows[i].donors.size(); ++d) {
      EXPECT_EQ(arrived.rows[i].donors[d].index, sent.rows[i].donors[d].index);
      EXPECT_EQ(arrived.rows[i].donors[d].tokens, sent.rows[i].donors[d].tokens);
    }
  }
}

TEST(Bundle, TravelsWithoutRows) {
  Bundle sent = sample();
  sent.rows.clear();
  sent.shape.rows = 0;
  const auto arrived = from_bytes<Bundle>(to_bytes(sent));
  EXPECT_TRUE(arrived.rows.empty());
  EXPECT_EQ(arrived.shape.rows, 0);
  EXPECT_EQ(arrived.contexts.size(), 2u);
}

TEST(Bundle, RefusesForeignAndTruncatedBytes) {
  EXPECT_THROW(from_bytes<Bundle>({}), ContractError);
  EXPECT_THROW(from_bytes<Bundle>(Bytes(1, std::byte{0x01})), ContractError);
  EXPECT_THROW(from_bytes<Bundle>(Bytes(64, std::byte{0xc1})), ContractError);
  const Bytes whole = to_bytes(sample());
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(from_bytes<Bundle>(std::span(whole).first(size)), ContractError)
        << size << " of " << whole.size() << " bytes";
}

}  // namespace
}  // namespace rvsweep
