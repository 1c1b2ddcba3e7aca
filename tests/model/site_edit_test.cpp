#include "rvsweep/model/site_edit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

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

/// The definitions in float64, one head at a time.
at::Tensor by_definition(SiteOperation operation, const at::Tensor& x, const at::Tensor& v,
                         double weight) {
  const double length = v.norm().item<double>();
  switch (operation) {
    case SiteOperation::replace:
      return x * (1 - weight) + v * weight;
    case SiteOperation::add:
      return x + v * weight;
    case SiteOperation::add_of_norm:
      return x + v * (weight * x.norm().item<double>() / length);
    case SiteOperation::project_out:
      return x - v * (weight * x.dot(v).item<double>() / length / length);
    case SiteOperation::scale:
      return x * (1 + weight);
    case SiteOperation::replace_on_sphere: {
      const double own = x.norm().item<double>();
      const double angle = std::acos(x.dot(v).item<double>() / own / length);
      return (x * (std::sin((1 - weight) * angle) / own) +
              v * (std::sin(weight * angle) / length)) *
             (((1 - weight) * own + weight * length) / std::sin(angle));
    }
  }
  return {};
}

class Operation : public ::testing::TestWithParam<SiteOperation> {};

TEST_P(Operation, IsItsDefinitionWhereItHasAWeightAndNothingElsewhere) {
  const at::Tensor old = at::randn({2, 2, 3, 8}), values = at::randn({2, 2, 3, 8}) * 3;
  at::Tensor weight = at::zeros({2, 2, 3, 1});
  weight[1][0].fill_(1.0F);
  weight[1][1][2].fill_(-0.75F);
  const at::Tensor now =
      apply_edits({{Site::z, 1, values, weight, GetParam()}}, nullptr, Site::z, 1, old);
  EXPECT_TRUE(at::equal(now[0], old[0]));
  EXPECT_TRUE(at::equal(now[1][1].narrow(0, 0, 2), old[1][1].narrow(0, 0, 2)));
  for (const auto& [q, head] : {std::pair{0, 0}, {0, 1}, {0, 2}, {1, 2}}) {
    const at::Tensor expected =
        by_definition(GetParam(), old[1][q][head].to(at::kDouble),
                      values[1][q][head].to(at::kDouble), weight[1][q][head].item<double>());
    EXPECT_TRUE(at::allclose(now[1][q][head].to(at::kDouble), expected, 1e-5, 1e-6)) << q << head;
  }
}

INSTANTIATE_TEST_SUITE_P(SiteEdit, Operation,
                         ::testing::Values(SiteOperation::replace, SiteOperation::add,
                                           SiteOperation::add_of_norm, SiteOperation::project_out,
                                           SiteOperation::scale, SiteOperation::replace_on_sphere));

TEST(SiteEdit, OnTheSphereWeightsOfOneAndZeroAreExactAndNormsAreMixed) {
  const at::Tensor old = at::randn({1, 1, 3, 8}) * 5, values = at::randn({1, 1, 3, 8}) * 0.1;
  at::Tensor weight = at::zeros({1, 1, 3, 1});
  weight[0][0][1].fill_(1.0F);
  weight[0][0][2].fill_(0.5F);
  const SiteEdit edit{Site::z, 1, values, weight, SiteOperation::replace_on_sphere};
  const at::Tensor now = apply_edits({edit}, nullptr, Site::z, 1, old)[0][0];
  EXPECT_TRUE(at::equal(now[0], old[0][0][0]));
  EXPECT_TRUE(at::equal(now[1], values[0][0][1]));
  const auto norm = [](const at::Tensor& x) { return x.norm().item<double>(); };
  EXPECT_NEAR(norm(now[2]), (norm(old[0][0][2]) + norm(values[0][0][2])) / 2, 1e-5);
}

TEST(SiteEdit, OnTheSphereWhatHasNoArcIsMixedInALine) {
  const at::Tensor x = at::randn({1, 1, 1, 8}), weight = at::zeros({1, 1, 1, 1}) + 0.25;
  for (const at::Tensor& v : {x * 3, x * -2, x * 0}) {
    const SiteEdit edit{Site::z, 1, v, weight, SiteOperation::replace_on_sphere};
    EXPECT_TRUE(at::allclose(apply_edits({edit}, nullptr, Site::z, 1, x), x * 0.75 + v * 0.25));
  }
  const SiteEdit edit{Site::z, 1, x, weight, SiteOperation::replace_on_sphere};
  EXPECT_TRUE(at::allclose(apply_edits({edit}, nullptr, Site::z, 1, x * 0), x * 0.25));
}

TEST(SiteEdit, ADirectionOfZerosChangesNothing) {
  const at::Tensor old = at::randn({1, 1, 1, 4}), weight = at::zeros({1, 1, 1, 1}) + 1;
  for (const SiteOperation operation : {SiteOperation::add_of_norm, SiteOperation::project_out})
    EXPECT_TRUE(at::equal(
        apply_edits({{Site::v, 0, old * 0, weight, operation}}, nullptr, Site::v, 0, old), old));
}

TEST(SiteEdit, CapturesWhatStoodThereBeforeAndAfter) {
  const at::Tensor old = at::randn({1, 2, 1, 4}), weight = at::zeros({1, 2, 1, 1}) + 1;
  std::vector<SiteCapture> captures{{Site::v, 0, 1}, {Site::v, 0, 1, {}, /*before_edits=*/true}};
  apply_edits({{Site::v, 0, old, weight, SiteOperation::scale}}, &captures, Site::v, 0, old);
  EXPECT_TRUE(at::equal(captures[0].values, old.narrow(1, 1, 1) * 2));
  EXPECT_TRUE(at::equal(captures[1].values, old.narrow(1, 1, 1)));
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
