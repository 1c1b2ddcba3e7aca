#include "rvsweep/intervention/visibility.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

constexpr std::int64_t T = 6, n_layers = 4;

/// A row of three cells that takes a donor's five at layer 1.
CompiledRow row_with(Growth growth) {
  CompiledRow row;
  row.cached = 3;
  CompiledCachePatch& patch = row.cache.emplace_back();
  patch.layers = {false, true, false, false};
  patch.donor = 1;
  patch.replaces = true;
  patch.donor_cached = 5;
  patch.growth = growth;
  return row;
}

RowVisibility seen_at(std::int64_t layer, const CompiledRow& row) {
  const LayerVisibility visibility = visibility_of({row}, n_layers, T);
  const Visibility& seen = visibility.classes.at(visibility.class_of_layer.at(layer));
  EXPECT_EQ(seen.fed, T);
  return seen.rows.at(0);
}

TEST(VisibilityOf, UnpatchedLayersSeeBaseAndAllFedTokens) {
  for (const Growth growth : {Growth::append, Growth::frozen, Growth::compound})
    EXPECT_EQ(seen_at(0, row_with(growth)), (RowVisibility{.first = 3}));
}

TEST(VisibilityOf, AppendSeesTheDonorAndAllFedTokens) {
  EXPECT_EQ(seen_at(1, row_with(Growth::append)), (RowVisibility{.first = 1}));
}

TEST(VisibilityOf, FrozenSeesTheDonorAndItsOwnToken) {
  EXPECT_EQ(seen_at(1, row_with(Growth::frozen)), (RowVisibility{.first = 1, .frozen = true}));
}

TEST(VisibilityOf, CompoundCountsTheDonorOnceMoreEachStep) {
  EXPECT_EQ(seen_at(1, row_with(Growth::compound)), (RowVisibility{.first = 1, .compound = true}));
}

TEST(VisibilityOf, PatchesOfSomeCellsLeaveTheNumberOfCells) {
  CompiledRow row = row_with(Growth::append);
  row.cache.front().replaces = false;
  EXPECT_EQ(seen_at(1, row), (RowVisibility{.first = 3}));
}

TEST(VisibilityOf, LayersThatSeeAlikeShareAClass) {
  const LayerVisibility visibility =
      visibility_of({row_with(Growth::frozen), CompiledRow{}}, n_layers, T);
  EXPECT_EQ(visibility.classes.size(), 2u);
  EXPECT_EQ(visibility.class_of_layer, (std::vector<std::size_t>{0, 1, 0, 0}));
}

}  // namespace
}  // namespace rvsweep
