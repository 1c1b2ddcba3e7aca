#include "rvsweep/core/ini.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

std::vector<IniEntry> read(const std::string& text) {
  std::istringstream stream(text);
  return read_ini(stream, "a.cfg");
}

TEST(Ini, HasKeysValuesAndLinesInTheirOrder) {
  const auto entries = read("top = 0\n# a comment\n[a]\n x =  y z # why\r\nx=\n\n[b.c]\nx = p=q");
  ASSERT_EQ(entries.size(), 4u);
  const auto expect = [&](std::size_t n, const char* key, const char* value, int line) {
    EXPECT_EQ(entries[n].key, key);
    EXPECT_EQ(entries[n].value, value);
    EXPECT_EQ(entries[n].line, line);
  };
  expect(0, "top", "0", 1);
  expect(1, "a.x", "y z", 4);
  expect(2, "a.x", "", 5);
  expect(3, "b.c.x", "p=q", 8);
}

TEST(Ini, NamesTheFirstLineThatIsNone) {
  for (const char* line : {"[a", "a]", "words", "[]", "[a.]"})
    EXPECT_TRUE(says(refusal_message([&] { read(std::string("[s]\nk = v\n") + line + "\n?\n"); }),
                     {"a.cfg:3: is neither [section], key = value nor # comment"}))
        << line;
}

}  // namespace
}  // namespace rvsweep
