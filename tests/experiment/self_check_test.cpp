#include "rvsweep/experiment/self_check.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <limits>

namespace rvsweep {
namespace {

/// The table that broken entries call.
const Operations* sound = nullptr;

struct Fault {
  const char* what;
  void (*put_into)(Operations& table);
};

const std::vector<Fault> faults{
    {"norm one percent too large",
     [](Operations& table) {
       table.norm = [](const at::Tensor& x, const Norm& norm) {
         return sound->norm(x, norm) * 1.01;
       };
     }},
    {"cells written a column early",
     [](Operations& table) {
       table.rotate_and_write = [](const at::Tensor& qkv, const Rotation& rotation,
                                   const CacheCells& cells) {
         const auto columns = std::max(qkv.size(1), cells.keys.size(2) - 1);
         sound->rotate_and_write(
             qkv, rotation, {cells.keys.narrow(2, 0, columns), cells.values.narrow(2, 0, columns)});
       };
     }},
    {"rotation forgotten",
     [](Operations& table) {
       table.rotate_and_write = [](const at::Tensor& qkv, const Rotation& rotation,
                                   const CacheCells& cells) {
         sound->rotate_and_write(qkv, {at::ones_like(rotation.cos), at::zeros_like(rotation.sin)},
                                 cells);
       };
     }},
    {"attention bias rounded to 16 bits",
     [](Operations& table) {
       table.attention_bias = [](const Visibility& seen, const QueryColumns& queries,
                                 std::int64_t group, const Placement& placement) {
         AttentionBias bias = sound->attention_bias(seen, queries, group, placement);
         at::Tensor& rounded = bias.ln_times.defined() ? bias.ln_times : bias.mask;
         rounded = rounded.to(at::kBFloat16).to(rounded.scalar_type());
         return bias;
       };
     }},
    {"padding seen",
     [](Operations& table) {
       table.attention_bias = [](const Visibility& seen, const QueryColumns& queries,
                                 std::int64_t group, const Placement& placement) {
         Visibility wrong = seen;
         for (RowVisibility& row : wrong.rows) row.first = std::max(row.first - 1, 0);
         return sound->attention_bias(wrong, queries, group, placement);
       };
     }},
    {"attention one percent too large",
     [](Operations& table) {
       table.attention = [](const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                            const Scores& scores) {
         return sound->attention(q, cells, bias, scores) * 1.01;
       };
     }},
    {"attention without a number",
     [](Operations& table) {
       table.attention = [](const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                            const Scores& scores) {
         return sound->attention(q, cells, bias, scores) / 0;
       };
     }},
    {"attention to another head",
     [](Operations& table) {
       table.attention = [](const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                            const Scores& scores) {
         return sound->attention(q, {cells.keys.flip(1), cells.values.flip(1)}, bias, scores);
       };
     }},
    {"product one percent too large",
     [](Operations& table) {
       table.product = [](const at::Tensor& x, const Matrix& matrix) {
         return sound->product(x, matrix) * 1.01;
       };
     }},
    {"added product one percent too large",
     [](Operations& table) {
       table.add_product = [](const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum) {
         sound->add_product(x * 1.01, matrix, sum);
       };
     }},
    {"swiglu one percent too large",
     [](Operations& table) {
       table.activated_product = [](const at::Tensor& x, const Matrix& up, const Mlp& mlp) {
         return sound->activated_product(x, up, mlp) * 1.01;
       };
     }},
    {"greedy choice of the next token",
     [](Operations& table) {
       table.argmax_product = [](const at::Tensor& x, const Matrix& head) {
         const ArgMax right = sound->argmax_product(x, head);
         return ArgMax{(right.token + 1).remainder(head.out), right.finite};
       };
     }},
    {"every greedy row called finite",
     [](Operations& table) {
       table.argmax_product = [](const at::Tensor& x, const Matrix& head) {
         const ArgMax right = sound->argmax_product(x, head);
         return ArgMax{right.token, at::ones_like(right.finite)};
       };
     }},
    {"largest logit of the next token",
     [](Operations& table) {
       table.argmax = [](const at::Tensor& logits) {
         return (sound->argmax(logits) + 1).remainder(logits.size(1));
       };
     }},
    {"every row called finite",
     [](Operations& table) {
       table.finite_rows = [](const at::Tensor& logits) {
         return at::ones_like(sound->finite_rows(logits));
       };
     }},
};

class SelfCheck : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { prepare_thread({}, 1); }
  Placement placement{at::kCPU, GetParam()};
};

TEST_P(SelfCheck, PassesWithHalfOfItsBoundsToSpare) {
  for (const CheckedOperation& checked : self_check(placement, operations_of(placement), 1)) {
    EXPECT_TRUE(checked.passed()) << checked.text();
    EXPECT_LE(checked.found.error, checked.bound.error / 2) << checked.text();
  }
}

TEST_P(SelfCheck, CatchesAFaultInEveryOperation) {
  sound = &operations_of(placement);
  for (const Fault& fault : faults) {
    Operations table = *sound;
    fault.put_into(table);
    EXPECT_NE(first_failure(self_check(placement, table, 1)), nullptr) << fault.what;
  }
}

TEST(CheckedOperation, PassesWithinBothBoundsAlone) {
  const auto passes = [](Deviation found, Deviation bound) {
    return CheckedOperation{"x", found, bound}.passed();
  };
  const Deviation bound{1e-2, 1e-3};
  EXPECT_TRUE(passes({1e-2, 1e-3}, bound));
  EXPECT_FALSE(passes({1.1e-2, 0}, bound));
  EXPECT_FALSE(passes({1e-2, 1.1e-3}, bound));
  EXPECT_TRUE(passes({0, 0}, {0, 0}));
  EXPECT_FALSE(passes({1e-9, 0}, {0, 0}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(passes({nan, nan}, bound));
}

TEST(CheckedOperation, TellsBothNumbersAndTheirBounds) {
  EXPECT_EQ((CheckedOperation{"logits", {0.02, 0.001}, {0.01, 0.002}}.text()),
            "logits: error 0.02 (bound 0.01), gain 0.001 (bound 0.002)");
}

INSTANTIATE_TEST_SUITE_P(Dtypes, SelfCheck, ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

}  // namespace
}  // namespace rvsweep
