#include "rvsweep/tokenizer/token_store.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace rvsweep {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(TokenStore, GivesBackEveryId) {
  const std::int32_t largest = std::numeric_limits<std::int32_t>::max();
  std::vector<Ids> lists = {{}, {0}, {127, 128, 16383, 16384, 2097151, 2097152}, {largest, -1, 1}};
  std::mt19937 generator(1);
  for (int i = 0; i < 1000; ++i) {
    Ids ids(generator() % 40);
    for (auto& id : ids) id = static_cast<std::int32_t>(generator() >> (1 + generator() % 31));
    lists.push_back(ids);
  }
  TokenStore store;
  for (const Ids& ids : lists) store.add(ids);
  ASSERT_EQ(store.size(), lists.size());
  for (std::size_t i = 0; i < lists.size(); ++i) ASSERT_EQ(store[i], lists[i]) << i;
}

}  // namespace
}  // namespace rvsweep
