#include "experiment/attention_readouts.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/xlogy.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "rvsweep/plan/result_schema.hpp"

// Shapes: R rows, nkv KV heads, g query heads of each, C cache columns seen, hd head_dim.

namespace rvsweep {
namespace {

/// Columns [seen_from[r], C) of row r are seen: float32 [R, nkv, g, C].
at::Tensor attention_weights(const ModelConfig& config, const at::Tensor& queries,
                             const at::Tensor& keys, const at::Tensor& seen_from) {
  const auto R = keys.size(0), nkv = keys.size(1), C = keys.size(2), hd = keys.size(3);
  const at::Tensor q = queries.to(at::kFloat).view({R, nkv, -1, hd});
  at::Tensor scores = q.matmul(keys.to(at::kFloat).transpose(2, 3)).mul_(config.attention_scale());
  if (const double cap = config.attention_soft_cap; cap > 0) scores.div_(cap).tanh_().mul_(cap);
  const at::Tensor hidden = at::arange(C, seen_from.options()) < seen_from.view({R, 1, 1, 1});
  return scores.masked_fill_(hidden, -std::numeric_limits<double>::infinity()).softmax(-1);
}

/// 1 where the patches of a row have written the cell of a prompt's column: float32 [R, nkv, C].
at::Tensor written_cells(const std::vector<CompiledRow>& plans, std::int64_t layer,
                         std::int64_t nkv, std::int64_t column) {
  at::Tensor cells = at::zeros({std::ssize(plans), nkv, column + 1}, at::kFloat);
  auto cell = cells.accessor<float, 3>();
  for (std::int64_t r = 0; r < std::ssize(plans); ++r) {
    const CompiledRow& plan = plans[static_cast<std::size_t>(r)];
    const auto mark = [&](const CompiledPatch& patch) {
      if (!patch.layers[layer]) return;
      for (const Cell& written : patch.cells)
        for (std::int64_t head = 0; head < nkv && written.base < plan.cached; ++head)
          if (patch.heads[head]) cell[r][head][column - plan.cached + written.base] = 1;
    };
    for (const CompiledCachePatch& patch : plan.cache)
      if (patch.at_step == 0) mark(patch);
    for (const CompiledSitePatch& patch : plan.sites)
      if ((patch.site == Site::k || patch.site == Site::v) && patch.steps.contains(0)) mark(patch);
  }
  return cells;
}

}  // namespace

at::Tensor attention_measures(const ModelConfig& config, const std::vector<CompiledRow>& plans,
                              const LayerVisibility& seen, const std::vector<QueryCapture>& queries,
                              const KvCache& cache, std::int64_t column) {
  const auto R = std::ssize(plans), nkv = config.n_kv_heads;
  std::vector<at::Tensor> by_layer;  // [R, 5, nkv]
  for (const auto& [layer, values] : queries) {
    const auto device = values.device();
    Visibility of_layer = seen.classes[seen.class_of_layer[layer]];
    of_layer.window = config.window(layer);
    std::vector<std::int64_t> firsts, seen_from;
    for (const RowVisibility& row : of_layer.rows) {
      firsts.push_back(row.first);
      seen_from.push_back(first_seen(of_layer, row, column));
    }
    const at::Tensor first = at::tensor(firsts, at::kLong).to(device);
    const at::Tensor weights =
        attention_weights(config, values, cache.cells(layer, column + 1).keys,
                          at::tensor(seen_from, at::kLong).to(device));
    const at::Tensor mean = weights.mean(2), of_prompt = mean.narrow(2, 0, column);
    const at::Tensor written =
        written_cells(plans, layer, nkv, column).narrow(2, 0, column).to(device);
    by_layer.push_back(
        at::stack({mean.gather(2, first.view({R, 1, 1}).expand({R, nkv, 1})).squeeze(2),
                   (of_prompt * written).sum(-1), (of_prompt * (1 - written)).sum(-1),
                   mean.select(2, column), at::xlogy(weights, weights).sum(-1).mean(2).neg()},
                  1));
  }
  return at::stack(by_layer, 2);
}

void fill_attention(const DecodedBatch& batch, const std::vector<std::int64_t>& layers,
                    ItemTable& table) {
  if (layers.empty()) return;
  const at::Tensor measures = batch.attention.to(at::kCPU);
  const auto measure = measures.accessor<float, 4>();  // [rows, 5, layers, nkv]
  const std::int64_t nkv = measures.size(3);
  std::int64_t place = 0;
  for (const auto key : {columns::attention_bos, columns::attention_donor, columns::attention_base,
                         columns::attention_fed, columns::attention_entropy}) {
    auto& stored = column(table, key);  // [rows, L, nkv]
    const std::size_t of_row = stored.size() / batch.rows.size();
    for (std::size_t r = 0; r < batch.rows.size(); ++r)
      for (std::size_t i = 0; i < layers.size() && batch.rows[r].failure.empty(); ++i)
        for (std::int64_t head = 0; head < nkv; ++head)
          stored[r * of_row + static_cast<std::size_t>(layers[i] * nkv + head)] =
              measure[batch.slots[r]][place][static_cast<std::int64_t>(i)][head];
    ++place;
  }
}

}  // namespace rvsweep
