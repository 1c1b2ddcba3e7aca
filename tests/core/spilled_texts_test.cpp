#include "rvsweep/core/spilled_texts.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

// Some megabytes, so that texts are read from the file as well as from what is yet to be written.
TEST(SpilledTexts, GivesBackWhatWasAdded) {
  SpilledTexts file;
  EXPECT_TRUE(file.empty());
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 2000; ++i)
    texts.push_back(std::string(i * i % 4001, static_cast<char>(i)));
  texts.emplace_back(3 << 20, 'x');
  texts.emplace_back("");
  texts.emplace_back("after it");
  for (const std::string& text : texts) {
    file.add(text);
    ASSERT_EQ(file[file.size() - 1], text);
  }
  const SpilledTexts moved = std::move(file);
  ASSERT_EQ(moved.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) ASSERT_EQ(moved[i], texts[i]) << i;
}

TEST(SpilledTexts, AFolderThatCannotHoldThemIsNamed) {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("TMPDIR", "/nonexistent", 1);
  SpilledTexts file;
  EXPECT_THROW(file.add("text"), OutputError);
  if (before == nullptr)
    unsetenv("TMPDIR");
  else
    setenv("TMPDIR", kept.c_str(), 1);
}

}  // namespace
}  // namespace rvsweep
