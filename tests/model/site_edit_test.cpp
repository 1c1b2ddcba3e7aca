#include "rvsweep/model/site_edit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace rvsweep {
namespace {

TEST(SiteEdit, WeightOneGivesTheValuesBitsAndZeroKeepsTheOldOnes) {
  const at::Tensor old = at::randn({3, 2, 2, 4}) * 1e3, values = at::randn({3, 2, 2, 4}) * 1e-3;
  at::Tensor weight = at::zeros({3, 2, 2, 1});
  weight[1].fill_(1.0F);
  const at::Tensor now = apply_edits({{Site::v, 5, values, weight}}, nullptr, Site::v, 5, old);
  EXPECT_TRUE(at::equal(now[0], old[0]));
  EXPECT_TRUE(at::equal(now[1], values[1]));
  EXPECT_TRUE(at::equal(now[2], old[2]));
}

TEST(SiteEdit, OtherLayersAndSitesAreLeftAlone) {
  const at::Tensor old = at::randn({1, 1, 1, 2}), weight = at::zeros({1, 1, 1, 1}) + 1;
  EXPECT_TRUE(
      at::equal(apply_edits({{Site::v, 5, old + 1, weight}}, nullptr, Site::v, 4, old), old));
  EXPECT_TRUE(
      at::equal(apply_edits({{Site::v, 5, old + 1, weight}}, nullptr, Site::k, 5, old), old));
}

TEST(SiteEdit, CapturesAreOfTheLastQueriesAfterZerosWhereThereAreFewer) {
  const at::Tensor x = at::randn({2, 3, 1, 4});
  std::vector<SiteCapture> captures{{Site::v, 5, 2}, {Site::v, 5, 5}};
  apply_edits({}, &captures, Site::v, 5, x);
  EXPECT_TRUE(at::equal(captures[0].values, x.narrow(1, 1, 2)));
  EXPECT_TRUE(at::equal(captures[1].values.narrow(1, 2, 3), x));
  EXPECT_EQ(captures[1].values.narrow(1, 0, 2).abs().sum().item<double>(), 0);
}

}  // namespace
}  // namespace rvsweep
