#include "rvsweep/intervention/prompt_cache.hpp"

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>

#include "rvsweep/kernels/rotation.hpp"

// Shapes: R rows, P of them patched, nkv KV heads, T prompt columns, hd head_dim. Token i of a
// prompt of n tokens lies n - i columns before the end of its slot; in its row's cache, which holds
// b[n-1] back or not, cell i lies in column T - cached + i.

namespace rvsweep {
namespace {

/// Where the cells of some rows come from, as indices into the contexts' cache.
struct CellSource {
  at::Tensor rows;     // int64 [R, 1]
  at::Tensor columns;  // int64 [R, T]
};

/// Cells of one layer of the contexts' cache, [R, nkv, T, hd].
at::Tensor gather_cells(const at::Tensor& layer, const CellSource& from) {
  return layer.transpose(1, 2).index({from.rows, from.columns}).transpose(1, 2);
}

CellSource base_cells(const ContextState& contexts, const std::vector<CompiledRow>& plans) {
  const auto R = std::ssize(plans), T = contexts.columns;
  at::Tensor rows = at::zeros({R, 1}, at::kLong), columns = at::zeros({R, T}, at::kLong);
  auto row = rows.accessor<std::int64_t, 2>(), column = columns.accessor<std::int64_t, 2>();
  for (std::int64_t r = 0; r < R; ++r) {
    const CacheSlot& slot = contexts.slots[plans[r].base];
    row[r][0] = slot.row;
    const auto held_back = plans[r].n - plans[r].cached;
    for (std::int64_t c = 0; c < T; ++c)
      column[r][c] = std::max(slot.end - T + c - held_back, slot.begin);
  }
  const auto device = contexts.cache.k.device();
  return {rows.to(device), columns.to(device)};
}

/// The patches of index `p` of some rows as tensors, the same at every layer that they write.
struct PatchTensors {
  std::vector<std::int64_t> rows;  // [P]
  at::Tensor index;                // int64 [P], the same
  CellSource donor;
  std::optional<CellSource> base;  // where rows have more patches, which may have changed its cells
  at::Tensor turn;                 // int64 [P, 1, 1], positions by which donor keys are turned
  at::Tensor written;              // float32 [P, nkv, T, 1], 1 where a cell is written
  at::Tensor alpha;                // float32 [P, 1, 1, 1]
  at::Tensor k, v;                 // float32 [P, 1, 1, 1], 1 where the component is written
  at::Tensor in_base;              // float32 [P, 1, T, 1], 1 where base has a cell
};

PatchTensors patch_tensors(const ContextState& contexts, const std::vector<CompiledRow>& plans,
                           const std::vector<std::int64_t>& rows, std::size_t index) {
  const auto P = std::ssize(rows), T = contexts.columns, n_kv_heads = contexts.cache.k.size(2);
  at::Tensor row_index = at::tensor(rows, at::kLong);
  at::Tensor from = at::zeros({P, 1}, at::kLong), columns = at::zeros({P, T}, at::kLong);
  at::Tensor turn = at::zeros({P, 1, 1}, at::kLong), alpha = at::zeros({P, 1, 1, 1}, at::kFloat);
  at::Tensor k = alpha.clone(), v = alpha.clone();
  at::Tensor written = at::zeros({P, n_kv_heads, T, 1}, at::kFloat);
  at::Tensor in_base = at::zeros({P, 1, T, 1}, at::kFloat);
  auto column = columns.accessor<std::int64_t, 2>();
  auto write = written.accessor<float, 4>();
  for (std::int64_t p = 0; p < P; ++p) {
    const CompiledRow& plan = plans[rows[p]];
    const CompiledCachePatch& patch = plan.cache[index];
    const CacheSlot& donor = contexts.slots[patch.donor];
    from[p] = donor.row;
    columns[p].fill_(donor.begin);
    turn[p] = patch.rotate_by;
    alpha[p] = patch.alpha;
    k[p] = patch.writes_k ? 1.0 : 0.0;
    v[p] = patch.writes_v ? 1.0 : 0.0;
    in_base[p].narrow(1, T - plan.cached, plan.cached).fill_(1.0);
    for (const Cell& cell : patch.cells) {
      const auto at = T - plan.cached + cell.base;
      column[p][at] = donor.end - patch.m + cell.donor;
      for (std::int64_t head = 0; head < n_kv_heads; ++head)
        write[p][head][at][0] = patch.heads[head] ? 1.0F : 0.0F;
    }
  }
  for (at::Tensor* x : {&row_index, &from, &columns, &turn, &written, &alpha, &k, &v, &in_base})
    *x = x->to(contexts.cache.k.device());
  PatchTensors patch{rows, row_index, {from, columns}, {}, turn, written, alpha, k, v, in_base};
  std::vector<CompiledRow> patched;
  for (const std::int64_t r : rows) patched.push_back(plans[r]);
  if (std::ranges::any_of(patched, [](const CompiledRow& plan) { return plan.n_patches() > 1; }))
    patch.base = base_cells(contexts, patched);
  return patch;
}

/// Writes one component of one layer; returns the rows' squared change, float64 [P].
at::Tensor apply(const Transformer& model, std::int64_t layer, const PatchTensors& patch,
                 const at::Tensor& contexts, bool is_key, at::Tensor rows) {
  const at::Tensor before = rows.index_select(0, patch.index);  // [P, nkv, T, hd]
  at::Tensor donor = gather_cells(contexts, patch.donor).to(at::kFloat);
  if (is_key) donor = rotate(donor, model.turn(layer, patch.turn));
  const at::Tensor written = patch.written * (is_key ? patch.k : patch.v);
  const at::Tensor now =
      at::lerp(before.to(at::kFloat), donor, written * patch.alpha).to(rows.scalar_type());
  rows.index_copy_(0, patch.index, now);
  const at::Tensor base = patch.base ? gather_cells(contexts, *patch.base) : before;
  return change_squared(now, base * patch.in_base, written);
}

/// Rows whose patch of this index writes a layer in this step.
std::vector<std::int64_t> patched_rows(const std::vector<CompiledRow>& plans, std::size_t index,
                                       std::int64_t layer, std::int64_t step) {
  std::vector<std::int64_t> rows;
  for (std::int64_t r = 0; r < std::ssize(plans); ++r)
    if (index < plans[r].cache.size() && plans[r].cache[index].layers[layer] &&
        plans[r].cache[index].at_step == step)
      rows.push_back(r);
  return rows;
}

}  // namespace

void copy_base_cells(const ContextState& contexts, const std::vector<CompiledRow>& plans,
                     KvCache& rows) {
  const CellSource base = base_cells(contexts, plans);
  const auto& [k, v] = contexts.cache;
  for (std::int64_t layer = 0; layer < k.size(0); ++layer)
    for (const auto& [from, to] : {std::pair(k, rows.k), std::pair(v, rows.v)})
      to[layer].narrow(2, 0, contexts.columns).copy_(gather_cells(from[layer], base));
}

void patch_prompt_caches(const Transformer& model, const ContextState& contexts,
                         const std::vector<CompiledRow>& plans, KvCache& rows,
                         std::vector<RowProof>& proofs, std::int64_t step) {
  const auto device = model.placement().device;
  std::size_t most = 0;
  for (const CompiledRow& plan : plans) most = std::max(most, plan.cache.size());
  if (most == 0) return;
  at::Tensor change =  // by row and place in CompiledRow::cache
      at::zeros({std::ssize(plans), static_cast<std::int64_t>(most)}, at::kDouble).to(device);
  for (std::size_t index = 0; index < most; ++index) {
    at::Tensor of_index = change.select(1, static_cast<std::int64_t>(index));
    PatchTensors patch;
    for (std::int64_t layer = 0; layer < model.config().n_layers; ++layer) {
      const auto patched = patched_rows(plans, index, layer, step);
      if (patched.empty()) continue;
      if (patched != patch.rows) patch = patch_tensors(contexts, plans, patched, index);
      for (const bool is_key : {true, false}) {
        const at::Tensor from = (is_key ? contexts.cache.k : contexts.cache.v)[layer];
        const at::Tensor cells = (is_key ? rows.k : rows.v)[layer].narrow(2, 0, contexts.columns);
        of_index.index_add_(0, patch.index, apply(model, layer, patch, from, is_key, cells));
      }
    }
  }
  const at::Tensor on_host = change.to(at::kCPU);
  const auto changed = on_host.accessor<double, 2>();
  for (std::size_t r = 0; r < plans.size(); ++r)
    for (std::size_t index = 0; index < plans[r].cache.size(); ++index) {
      const CompiledCachePatch& patch = plans[r].cache[index];
      if (patch.at_step != step) continue;
      const auto times = layer_heads(patch);
      PatchProof& proof = proofs[r][patch.place];
      proof.cells_changed += std::ssize(patch.cells) * times;
      proof.cells_dropped += patch.cells_dropped * times;
      proof.change_squared +=
          changed[static_cast<std::int64_t>(r)][static_cast<std::int64_t>(index)];
    }
}

std::set<std::int64_t> late_steps(const std::vector<CompiledRow>& plans) {
  std::set<std::int64_t> steps;
  for (const CompiledRow& plan : plans)
    for (const CompiledCachePatch& patch : plan.cache)
      if (patch.at_step > 0) steps.insert(patch.at_step);
  return steps;
}

}  // namespace rvsweep
