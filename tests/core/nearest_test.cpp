#include "rvsweep/core/nearest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace rvsweep {
namespace {

const std::vector<std::string> settings{"layers", "decode", "growth", "align", "entry"};

TEST(NameHint, MendsOneEditOfEachKind) {
  EXPECT_EQ(name_hint("layer", settings), "did you mean layers?");    // a letter left out
  EXPECT_EQ(name_hint("decodes", settings), "did you mean decode?");  // one too many
  EXPECT_EQ(name_hint("grawth", settings), "did you mean growth?");   // another one
  EXPECT_EQ(name_hint("algin", settings), "did you mean align?");     // in the wrong order
}

TEST(NameHint, CountsEveryEdit) {
  // kitten to sitting takes 3 edits, to kit 3, to bitten 1.
  EXPECT_EQ(name_hint("kitten", std::vector<std::string>{"sitting", "kit", "bitten"}),
            "did you mean bitten?");
}

TEST(NameHint, IsTheFirstOfEquals) {
  EXPECT_EQ(name_hint("cat", std::vector<std::string>{"bat", "hat", "car"}), "did you mean bat?");
}

TEST(NameHint, ListsWhatThereIsWhereNothingIsNear) {
  // recursive_ to court takes 8 edits of its 10 letters.
  EXPECT_EQ(name_hint("recursive_", std::vector<std::string>{"court", "garden"}),
            "choose from court, garden");
  EXPECT_EQ(name_hint("", settings), "choose from layers, decode, growth, align, entry");
  EXPECT_EQ(name_hint("recursive_", std::vector<std::string>(25, "court")), "did you mean court?");
  EXPECT_EQ(name_hint("layers", {}), "");
}

}  // namespace
}  // namespace rvsweep
