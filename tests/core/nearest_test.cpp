#include "rvsweep/core/nearest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace rvsweep {
namespace {

const std::vector<std::string> settings{"layers", "decode", "growth", "align", "entry"};

TEST(NearestName, MendsOneEditOfEachKind) {
  EXPECT_EQ(nearest_name("layer", settings), "layers");    // a letter left out
  EXPECT_EQ(nearest_name("decodes", settings), "decode");  // one too many
  EXPECT_EQ(nearest_name("grawth", settings), "growth");   // another one
  EXPECT_EQ(nearest_name("lagin", settings), "align");     // in the wrong order
}

TEST(NearestName, IsTheNameItselfWhereItIsKnown) {
  for (const auto& name : settings) EXPECT_EQ(nearest_name(name, settings), name);
}

TEST(NearestName, CountsEveryEdit) {
  // kitten to sitting takes 3 edits, to kit 3, to bitten 1.
  EXPECT_EQ(nearest_name("kitten", std::vector<std::string>{"sitting", "kit", "bitten"}), "bitten");
  // The 4 edits to "abcd" beat the 5 to "vwxyz".
  EXPECT_EQ(nearest_name("", std::vector<std::string>{"vwxyz", "abcd"}), "abcd");
}

TEST(NearestName, IsTheFirstOfEquals) {
  EXPECT_EQ(nearest_name("cat", std::vector<std::string>{"bat", "hat", "car"}), "bat");
}

TEST(NearestName, IsEmptyWhereNothingIsKnown) { EXPECT_EQ(nearest_name("layers", {}), ""); }

}  // namespace
}  // namespace rvsweep
