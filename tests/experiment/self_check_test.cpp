#include "rvsweep/experiment/self_check.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

namespace rvsweep {
namespace {

/// The table that broken entries call.
const Operations* sound = nullptr;

struct Fault {
  const char* name;
  void (*put_into)(Operations& table);
};

const std::vector<Fault> faults{
    {"norm_one_percent_too_large",
     [](Operations& table) {
       table.rms_norm = [](const at::Tensor& x, const at::Tensor& weight, double eps) {
         return sound->rms_norm(x, weight, eps) * 1.01;
       };
     }},
    {"cells_written_a_column_early",
     [](Operations& table) {
       table.rotate_and_write = [](const at::Tensor& qkv, const Rotation& rotation,
                                   const CacheCells& cells) {
         const auto columns = std::max(qkv.size(1), cells.keys.size(2) - 1);
         sound->rotate_and_write(
             qkv, rotation, {cells.keys.narrow(2, 0, columns), cells.values.narrow(2, 0, columns)});
       };
     }},
    {"rotation_forgotten",
     [](Operations& table) {
       table.rotate_and_write = [](const at::Tensor& qkv, const Rotation& rotation,
                                   const CacheCells& cells) {
         sound->rotate_and_write(qkv, {at::ones_like(rotation.cos), at::zeros_like(rotation.sin)},
                                 cells);
       };
     }},
    {"attention_bias_rounded_to_16_bits",
     [](Operations& table) {
       table.attention_bias = [](const Visibility& seen, const QueryColumns& queries,
                                 std::int64_t group, at::Device device) {
         return sound->attention_bias(seen, queries, group, device)
             .to(at::kBFloat16)
             .to(at::kFloat);
       };
     }},
    {"padding_seen",
     [](Operations& table) {
       table.attention_bias = [](const Visibility& seen, const QueryColumns& queries,
                                 std::int64_t group, at::Device device) {
         Visibility wrong = seen;
         for (RowVisibility& row : wrong.rows) row.first = std::max(row.first - 1, 0);
         return sound->attention_bias(wrong, queries, group, device);
       };
     }},
    {"attention_one_percent_too_large",
     [](Operations& table) {
       table.attention = [](const at::Tensor& q, const CacheCells& cells, const at::Tensor& bias,
                            double scale) {
         return sound->attention(q, cells, bias, scale) * 1.01;
       };
     }},
    {"attention_to_another_head",
     [](Operations& table) {
       table.attention = [](const at::Tensor& q, const CacheCells& cells, const at::Tensor& bias,
                            double scale) {
         return sound->attention(q, {cells.keys.flip(1), cells.values.flip(1)}, bias, scale);
       };
     }},
    {"product_one_percent_too_large",
     [](Operations& table) {
       table.product = [](const at::Tensor& x, const Matrix& matrix) {
         return sound->product(x, matrix) * 1.01;
       };
     }},
    {"added_product_one_percent_too_large",
     [](Operations& table) {
       table.add_product = [](const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum) {
         sound->add_product(x * 1.01, matrix, sum);
       };
     }},
    {"swiglu_one_percent_too_large",
     [](Operations& table) {
       table.swiglu_product = [](const at::Tensor& x, const Matrix& gate_up) {
         return sound->swiglu_product(x, gate_up) * 1.01;
       };
     }},
    {"greedy_choice_of_the_next_token",
     [](Operations& table) {
       table.argmax_product = [](const at::Tensor& x, const Matrix& head) {
         const ArgMax right = sound->argmax_product(x, head);
         return ArgMax{(right.token + 1).remainder(head.out), right.finite};
       };
     }},
    {"every_greedy_row_called_finite",
     [](Operations& table) {
       table.argmax_product = [](const at::Tensor& x, const Matrix& head) {
         const ArgMax right = sound->argmax_product(x, head);
         return ArgMax{right.token, at::ones_like(right.finite)};
       };
     }},
    {"largest_logit_of_the_next_token",
     [](Operations& table) {
       table.argmax = [](const at::Tensor& logits) {
         return (sound->argmax(logits) + 1).remainder(logits.size(1));
       };
     }},
    {"every_row_called_finite",
     [](Operations& table) {
       table.finite_rows = [](const at::Tensor& logits) {
         return at::ones_like(sound->finite_rows(logits));
       };
     }},
};

class SelfCheck : public ::testing::TestWithParam<at::ScalarType> {
 protected:
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
    const auto checked = self_check(placement, table, 1);
    const CheckedOperation* const failure = first_failure(checked);
    EXPECT_NE(failure, nullptr) << fault.name;
    if (failure) std::cout << fault.name << " | " << failure->text() << "\n";
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, SelfCheck, ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

}  // namespace
}  // namespace rvsweep
