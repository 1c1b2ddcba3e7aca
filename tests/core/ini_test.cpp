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

TEST(Ini, SkipsAByteOrderMarkAndNamesUtf16) {
  EXPECT_EQ(read("\xef\xbb\xbf[a]\nx = 1\n").at(0).key, "a.x");
  for (const char* mark : {"\xff\xfe", "\xfe\xff"})
    EXPECT_TRUE(says(refusal_message([&] { read(mark + std::string("[\0", 2)); }),
                     {"a.cfg:1: is UTF-16: save the file as UTF-8"}));
}

TEST(Ini, NamesTheLineOfANulAndOfQuotes) {
  EXPECT_TRUE(says(refusal_message([&] { read("[a]\nx = y" + std::string(1, '\0')); }),
                   {"a.cfg:2: holds a NUL"}));
  for (const std::string value : {"\"a b\"", "'a'", "\"\""})
    EXPECT_TRUE(says(refusal_message([&] { read("x = 1\nx = " + value + " # why\n"); }),
                     {"a.cfg:2: has quotes around " + value + ": write the value without"}));
  EXPECT_EQ(read("x = it's\ny = \"\n").size(), 2u);
}

}  // namespace
}  // namespace rvsweep
