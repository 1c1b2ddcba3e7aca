#include "rvsweep/intervention/prompt_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>

#include "rvsweep/model/rope.hpp"

// Shapes: R rows, nkv KV heads, T prompt columns, hd head_dim.

namespace rvsweep {
namespace {

/// Rows that take the same columns of their context: those that hold b[n-1] back leave it out.
struct EntryGroup {
  std::vector<std::int64_t> rows;
  std::int64_t held_back = 0;  // trailing cells of the context that stay outside the cache
};

std::vector<EntryGroup> entry_groups(const std::vector<RowPlan>& plans) {
  EntryGroup hold_last{{}, 1}, refeed{{}, 0};
  for (std::size_t r = 0; r < plans.size(); ++r)
    (plans[r].refeeds ? refeed : hold_last).rows.push_back(static_cast<std::int64_t>(r));
  std::vector<EntryGroup> groups;
  for (auto& group : {hold_last, refeed})
    if (!group.rows.empty()) groups.push_back(group);
  return groups;
}

/// Cells of one layer by row, right-aligned: [R, nkv, T, hd] from contexts [C, nkv, T, hd].
void gather_cells(const at::Tensor& contexts, const std::vector<std::int64_t>& context_of_row,
                  const EntryGroup& group, at::Tensor rows) {
  std::vector<std::int64_t> wanted;
  for (const auto r : group.rows) wanted.push_back(context_of_row[r]);
  const auto T = contexts.size(2), kept = T - group.held_back;
  const auto index = [&](const std::vector<std::int64_t>& v) {
    return at::tensor(v, at::kLong).to(contexts.device());
  };
  const at::Tensor cells = contexts.narrow(2, 0, kept).index_select(0, index(wanted));
  rows.narrow(2, group.held_back, kept).index_copy_(0, index(group.rows), cells);
}

/// Turns the keys of the rows patched at this layer by their rotate_by, in float32.
void rotate_donor_keys(const Transformer& model, const std::vector<RowPlan>& plans,
                       std::int64_t layer, at::Tensor keys) {
  std::vector<std::int64_t> turned, by;
  for (std::size_t r = 0; r < plans.size(); ++r) {
    if (!plans[r].patches_cache(layer) || plans[r].rotate_by == 0) continue;
    turned.push_back(static_cast<std::int64_t>(r));
    by.push_back(plans[r].rotate_by);
  }
  if (turned.empty()) return;
  const at::Tensor index = at::tensor(turned, at::kLong).to(keys.device());
  const at::Tensor positions = at::tensor(by, at::kLong).to(keys.device()).view({-1, 1, 1});
  const Rotation rotation =
      rotation_at(positions, model.inverse_frequencies());  // [R', 1, 1, hd/2]
  const at::Tensor wide = keys.index_select(0, index).to(at::kFloat);
  keys.index_copy_(0, index, rotate(wide, rotation).to(keys.scalar_type()));
}

/// Squared distance of the donor's cells in columns [T - donor_cached, T) to base's, 0 where base
/// has none.
double change_squared(const at::Tensor& now, const at::Tensor& base, const RowPlan& plan) {
  const auto T = now.size(1);
  at::Tensor old = base.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  old.narrow(1, 0, T - plan.cached).zero_();
  const auto first = T - plan.donor_cached;
  const at::Tensor difference = now.narrow(1, first, plan.donor_cached).to(at::kDouble) -
                                old.narrow(1, first, plan.donor_cached);
  return difference.square().sum().item<double>();
}

}  // namespace

void compose_prompt_caches(const Transformer& model, const KvCache& contexts,
                           const std::vector<RowPlan>& plans, KvCache& rows,
                           std::vector<PatchProof>& proofs) {
  const auto T = contexts.columns();
  const auto groups = entry_groups(plans);
  for (std::int64_t layer = 0; layer < model.config().n_layers; ++layer) {
    std::vector<std::int64_t> base_of_row, context_of_row;
    for (const RowPlan& plan : plans) {
      base_of_row.push_back(plan.base);
      context_of_row.push_back(plan.patches_cache(layer) ? plan.donor : plan.base);
    }
    const bool patched_here = base_of_row != context_of_row;
    for (const bool is_key : {true, false}) {
      const at::Tensor source = (is_key ? contexts.k : contexts.v)[layer];  // [C, nkv, T, hd]
      at::Tensor cells = (is_key ? rows.k : rows.v)[layer].narrow(2, 0, T);
      for (const auto& group : groups) gather_cells(source, context_of_row, group, cells);
      if (!patched_here) continue;
      if (is_key) rotate_donor_keys(model, plans, layer, cells);
      at::Tensor base = at::empty_like(cells);
      for (const auto& group : groups) gather_cells(source, base_of_row, group, base);
      for (std::size_t r = 0; r < plans.size(); ++r)
        if (plans[r].patches_cache(layer))
          proofs[r].change_squared += change_squared(cells[r], base[r], plans[r]);
    }
    for (std::size_t r = 0; r < plans.size(); ++r)
      if (plans[r].patches_cache(layer))
        proofs[r].cells_changed += plans[r].donor_cached * model.config().n_kv_heads;
  }
}

}  // namespace rvsweep
