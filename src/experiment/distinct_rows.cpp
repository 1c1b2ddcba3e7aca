#include "experiment/distinct_rows.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

bool all_distinct(const DistinctRows& distinct) {
  return distinct.bundle.rows.size() == distinct.slot_of.size();
}

/// Slot 0 for padding rows.
at::Tensor select(const at::Tensor& by_slot, std::int64_t dim, std::vector<std::int64_t> slots,
                  std::int64_t rows) {
  slots.resize(static_cast<std::size_t>(rows), 0);
  return by_slot.index_select(dim, at::tensor(slots, at::kLong).to(by_slot.device()));
}

template <class T>
std::vector<T> of_rows(const std::vector<T>& of_slots, const std::vector<std::int64_t>& slots) {
  std::vector<T> rows;
  for (const std::int64_t slot : slots) rows.push_back(of_slots[static_cast<std::size_t>(slot)]);
  return rows;
}

}  // namespace

DistinctRows distinct_rows(const SweepSettings& settings, const Bundle& bundle,
                           const ModelConfig& config) {
  DistinctRows distinct{bundle, {}};
  if (settings.generation.temperature != 0) {
    for (std::int64_t r = 0; r < std::ssize(bundle.rows); ++r) distinct.slot_of.push_back(r);
    return distinct;
  }
  distinct.bundle.rows.clear();
  std::vector<CompiledRow> plans = compile_rows(settings, bundle, config), kept;
  for (std::size_t r = 0; r < bundle.rows.size(); ++r) {
    const auto found = std::find(kept.begin(), kept.end(), plans[r]);
    distinct.slot_of.push_back(found - kept.begin());
    if (found != kept.end()) continue;
    kept.push_back(std::move(plans[r]));
    distinct.bundle.rows.push_back(bundle.rows[r]);
  }
  distinct.bundle.shape.rows = canonical_rows(std::ssize(kept));
  return distinct;
}

at::Tensor by_row(const at::Tensor& by_slot, const DistinctRows& distinct) {
  if (all_distinct(distinct)) return by_slot;
  return select(by_slot, 0, distinct.slot_of, std::ssize(distinct.slot_of));
}

DecodedBatch whole_batch(DecodedBatch batch, const DistinctRows& distinct,
                         std::vector<CompiledRow> plans) {
  if (all_distinct(distinct)) return batch;
  const auto rows = std::ssize(plans);
  const auto whole = [&](const at::Tensor& of_slots, std::int64_t dim) {
    return of_slots.defined() ? select(of_slots, dim, distinct.slot_of, rows) : of_slots;
  };
  DecodedBatch result;
  result.cache = {whole(batch.cache.k, 1), whole(batch.cache.v, 1)};
  result.plans = std::move(plans);
  result.rows = of_rows(batch.rows, distinct.slot_of);
  result.proofs = of_rows(batch.proofs, distinct.slot_of);
  result.first_logits = whole(batch.first_logits, 0);
  for (const SiteCapture& record : batch.residuals) {
    result.residuals.push_back(record);
    result.residuals.back().values = whole(record.values, 0);
  }
  return result;
}

}  // namespace rvsweep
