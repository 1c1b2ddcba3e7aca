#include "rvsweep/core/text_store.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

// Texts of all sizes, so that pieces of a megabyte end with and without room left.
TEST(TextStore, GivesBackWhatWasAdded) {
  TextStore store;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 3000; ++i)
    texts.push_back(std::string(i * i % 4001, static_cast<char>(i)));
  texts.emplace_back(3 << 20, 'x');  // longer than a piece
  texts.emplace_back("after it");
  for (const std::string& text : texts) store.add(text);
  const TextStore moved = std::move(store);
  ASSERT_EQ(moved.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) ASSERT_EQ(moved[i], texts[i]) << i;
}

}  // namespace
}  // namespace rvsweep
