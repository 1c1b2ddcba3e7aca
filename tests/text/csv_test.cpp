#include "text/csv.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

using Records = std::vector<std::vector<std::string>>;

Records read(const std::string& text) {
  CsvReader reader(text, "bank.csv");
  Records records;
  while (auto fields = reader.next()) records.push_back(*fields);
  return records;
}

std::string refusal(const std::string& text) {
  return refusal_message([&] { read(text); });
}

TEST(Csv, SplitsRecordsAtLineEndsOfEveryKind) {
  const Records two{{"a", "b"}, {"c", "d"}};
  EXPECT_EQ(read("a,b\nc,d\n"), two);
  EXPECT_EQ(read("a,b\r\nc,d\r\n"), two);
  EXPECT_EQ(read("a,b\rc,d\r"), two);
  EXPECT_EQ(read("a,b\nc,d"), two);
  EXPECT_EQ(read(""), Records{});
}

TEST(Csv, TakesTheSeparatorFromTheFirstLine) {
  const Records two{{"a", "b"}, {"c;,", "d\t"}};
  EXPECT_EQ(read("a;b\n\"c;,\";d\t\n"), two);
  EXPECT_EQ(read("a\tb\nc;,\t\"d\t\"\n"), two);
  EXPECT_EQ(read("a,b\n\"c;,\",d\t\n"), two);
  EXPECT_EQ(read("sep=;\r\na;b\r\n\"c;,\";d\t\r\n"), two);
  EXPECT_EQ(read("sep=,\na,b\n"), (Records{{"a", "b"}}));
}

TEST(Csv, Utf16IsNamed) {
  EXPECT_TRUE(says(refusal(std::string("\xff\xfe"
                                       "a\0",
                                       4)),
                   {"bank.csv:1: is UTF-16"}));
}

TEST(Csv, KeepsEmptyFieldsAndBlanks) {
  EXPECT_EQ(read(",\n, a ,\n"), (Records{{"", ""}, {"", " a ", ""}}));
  EXPECT_EQ(read("\n\na\n"), (Records{{""}, {""}, {"a"}}));
  EXPECT_EQ(read("\"\",\"\""), (Records{{"", ""}}));
}

TEST(Csv, AQuotedFieldHoldsCommasQuotesAndLineEndsAsTheyAre) {
  EXPECT_EQ(read("\"a,b\",\"say \"\"so\"\"\",\"one\r\ntwo\nthree\rfour\"\n"),
            (Records{{"a,b", "say \"so\"", "one\r\ntwo\nthree\rfour"}}));
}

TEST(Csv, CountsTheLinesInsideQuotes) {
  const std::string text = "h\n\"one\r\ntwo\rthree\"\nlast\n";
  CsvReader reader(text, "bank.csv");
  const int lines[] = {1, 2, 5};
  for (const int line : lines) {
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.line(), line);
  }
}

TEST(Csv, PassesOverAByteOrderMark) {
  EXPECT_EQ(read("\xef\xbb\xbfid,text\n"), (Records{{"id", "text"}}));
}

TEST(Csv, NamesTheLineOfWhatIsMalformed) {
  EXPECT_TRUE(says(refusal("a\nb\"c\n"), {"bank.csv:2: ", "quote inside an unquoted field"}));
  EXPECT_TRUE(says(refusal("\"a\nb\"c\n"), {"bank.csv:2: ", "after a closing quote"}));
  EXPECT_TRUE(says(refusal("a\n\"b\nc\n"), {"bank.csv:2: ", "never closed"}));
  EXPECT_TRUE(says(refusal("a\nb,\xff\n"), {"bank.csv:2: ", "UTF-8"}));
}

}  // namespace
}  // namespace rvsweep
