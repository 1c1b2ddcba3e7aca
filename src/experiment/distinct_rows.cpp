#include "experiment/distinct_rows.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

bool all_distinct(const DistinctRows& distinct) {
  return distinct.batch.rows.size() == distinct.slot_of.size();
}

/// Slot 0 for padding rows.
at::Tensor select(const at::Tensor& by_slot, std::vector<std::int64_t> slots, std::int64_t rows) {
  slots.resize(static_cast<std::size_t>(rows), 0);
  return by_slot.index_select(0, at::tensor(slots, at::kLong).to(by_slot.device()));
}

template <class T>
std::vector<T> of_rows(const std::vector<T>& of_slots, const std::vector<std::int64_t>& slots) {
  std::vector<T> rows;
  for (const std::int64_t slot : slots) rows.push_back(of_slots[static_cast<std::size_t>(slot)]);
  return rows;
}

}  // namespace

DistinctRows distinct_rows(const PreparedBundle& prepared) {
  const auto& rows = prepared.bundle.rows;
  const bool is_greedy = prepared.settings.generation.temperature == 0;
  DistinctRows distinct;
  auto& kept = distinct.batch.compiled;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const CompiledRow& row = prepared.rows[r];
    const auto found = is_greedy ? std::find(kept.begin(), kept.end(), row) : kept.end();
    distinct.slot_of.push_back(found - kept.begin());
    if (found != kept.end()) continue;
    kept.push_back(row);
    distinct.batch.rows.push_back(rows[r]);
  }
  const auto padded = all_distinct(distinct) ? std::ssize(prepared.rows)
                                             : padded_rows(std::ssize(distinct.batch.rows),
                                                           prepared.bundle.shape.prompt_length);
  kept.resize(static_cast<std::size_t>(padded),
              padding_row(prepared.bundle, prepared.model.config()));
  return distinct;
}

at::Tensor by_row(const at::Tensor& by_slot, const DistinctRows& distinct) {
  if (all_distinct(distinct)) return by_slot;
  return select(by_slot, distinct.slot_of, std::ssize(distinct.slot_of));
}

DecodedBatch whole_batch(DecodedBatch batch, const DistinctRows& distinct,
                         const BundleShape& shape) {
  if (all_distinct(distinct)) return batch;
  const auto whole = [&](const at::Tensor& of_slots) {
    return of_slots.defined() ? select(of_slots, distinct.slot_of, shape.rows) : of_slots;
  };
  DecodedBatch result{.cache = std::move(batch.cache),
                      .slots = distinct.slot_of,
                      .rows = of_rows(batch.rows, distinct.slot_of),
                      .proofs = of_rows(batch.proofs, distinct.slot_of),
                      .first_logits = whole(batch.first_logits),
                      .residuals = std::move(batch.residuals),
                      .measured = std::move(batch.measured),
                      .attention = std::move(batch.attention)};
  result.slots.resize(static_cast<std::size_t>(shape.rows), 0);
  for (SiteCapture& record : result.residuals) record.values = whole(record.values);
  return result;
}

}  // namespace rvsweep
