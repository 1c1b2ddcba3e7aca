#include "experiment/logit_readouts.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "rvsweep/metrics/logits.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

/// KL(reference || row) of every row of `logits`: float64 [rows]. A few rows at a time: a
/// vocabulary in float64 takes a megabyte.
at::Tensor kl_from(const at::Tensor& references, const std::vector<std::int64_t>& reference_of,
                   const at::Tensor& logits) {
  const at::Tensor index = at::tensor(reference_of, at::kLong).to(logits.device());
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < logits.size(0); first += kl_rows) {
    const auto n = std::min(kl_rows, logits.size(0) - first);
    const at::Tensor log_p =
        log_probabilities(references.index_select(0, index.narrow(0, first, n)));
    const at::Tensor log_q = log_probabilities(logits.narrow(0, first, n));
    parts.push_back(kl_divergence(log_p, log_q, at::arange(n, index.options())));
  }
  return at::cat(parts);
}

}  // namespace

void fill_first_token(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  auto* kl_first = find_column(table, columns::kl_first);
  if (kl_first == nullptr) return;
  const auto& rows = prepared.bundle.rows;
  const TokenSets& sets = prepared.settings.token_sets;
  const auto R = std::ssize(rows);
  std::vector<std::int64_t> references;
  for (const BundleRow& row : rows) references.push_back(std::max<std::int64_t>(row.reference, 0));
  const at::Tensor logits = batch.first_logits.narrow(0, 0, R);
  const at::Tensor kl = kl_from(prepared.first_logits, references, logits).to(at::kCPU);
  const at::Tensor lse = log_sum_exp_difference(logits, sets.recursive, sets.task).to(at::kCPU);
  auto& lse_difference = column(table, columns::lse_difference);
  for (std::int64_t r = 0; r < R; ++r) {
    if (!batch.rows[r].failure.empty()) continue;
    if (rows[r].reference >= 0) (*kl_first)[r] = kl.const_data_ptr<double>()[r];
    lse_difference[r] = lse.const_data_ptr<double>()[r];
  }
}

void fill_logit_lens(const Transformer& model, const DecodedBatch& batch, ItemTable& table) {
  auto* tokens = find_column(table, columns::logit_lens_token);
  if (tokens == nullptr) return;
  auto& log_probabilities = column(table, columns::logit_lens_logprob);
  const auto n_layers = std::ssize(batch.residuals), k = logit_lens_top;
  for (std::int64_t i = 0; i < n_layers; ++i) {
    const at::Tensor residual = batch.residuals[i].values.flatten(1);  // [R, hidden]
    const auto [values, indices] =
        model.unembed(residual).to(at::kFloat).log_softmax(-1).topk(k, -1);  // [R, k] both
    const at::Tensor value = values.to(at::kCPU).contiguous();
    const at::Tensor index = indices.to(at::kCPU).contiguous();
    for (std::int64_t r = 0; r < std::ssize(batch.rows); ++r) {
      if (!batch.rows[r].failure.empty()) continue;
      for (std::int64_t j = 0; j < k; ++j) {
        const auto at = (r * n_layers + i) * k + j;
        (*tokens)[at] = static_cast<std::int32_t>(index.const_data_ptr<std::int64_t>()[r * k + j]);
        log_probabilities[at] = value.const_data_ptr<float>()[r * k + j];
      }
    }
  }
}

}  // namespace rvsweep
