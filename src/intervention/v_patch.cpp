#include "rvsweep/intervention/v_patch.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <set>

#include "rvsweep/plan/canonical_shapes.hpp"

// Shapes: R rows, T prompt columns, nkv KV heads, hd head_dim. Base token i of n lies in column
// T - n + i of its context; in its row's cache, which holds b[n-1] back, one column further right.

namespace rvsweep {
namespace {

std::set<std::int64_t> patched_layers(const std::vector<RowPlan>& plans) {
  std::set<std::int64_t> layers;
  for (const RowPlan& plan : plans)
    for (std::size_t layer = 0; layer < plan.v_layers.size(); ++layer)
      if (plan.v_layers[layer]) layers.insert(static_cast<std::int64_t>(layer));
  return layers;
}

at::Tensor index_tensor(const std::vector<std::int64_t>& values, const Placement& placement) {
  return at::tensor(values, at::kLong).to(placement.device);
}

/// The donor's V in context columns [first, first + queries), for every row at every patched layer;
/// weight(r, query) says which of them the row takes.
template <class Weight>
std::vector<SitePatch> make_patches(const Transformer& model, const KvCache& contexts,
                                    const std::vector<RowPlan>& plans, std::int64_t first,
                                    std::int64_t queries, Weight weight) {
  const Placement& placement = model.placement();
  std::vector<std::int64_t> donors;
  for (const RowPlan& plan : plans) donors.push_back(std::max(plan.donor, 0));
  const at::Tensor donor_index = index_tensor(donors, placement);
  std::vector<SitePatch> patches;
  for (const std::int64_t layer : patched_layers(plans)) {
    const auto R = std::ssize(plans);
    at::Tensor weights = at::zeros({R, queries, 1, 1}, at::kFloat);
    auto cell = weights.accessor<float, 4>();
    bool any = false;
    for (std::int64_t r = 0; r < R; ++r)
      for (std::int64_t query = 0; query < queries; ++query)
        if (plans[r].patches_v(layer) && weight(plans[r], query)) {
          cell[r][query][0][0] = 1.0F;
          any = true;
        }
    if (!any) continue;
    SitePatch patch;
    patch.layer = layer;
    patch.values = contexts.v[layer]
                       .narrow(2, first, queries)
                       .index_select(0, donor_index)
                       .transpose(1, 2)
                       .contiguous();  // [R, queries, nkv, hd]
    patch.weight = weights.to(placement.device, placement.dtype);
    patches.push_back(std::move(patch));
  }
  return patches;
}

/// The suffix queries of a padded batch of v_proj rows.
struct Suffix {
  at::Tensor tokens, positions;       // [rows, W-1]
  std::vector<std::int64_t> lengths;  // cached cells, [rows]
};

Suffix suffix_of(const std::vector<BundleContext>& contexts, const std::vector<RowPlan>& plans,
                 std::int64_t queries, const Placement& placement) {
  std::vector<std::int64_t> tokens, positions;
  Suffix suffix;
  for (const RowPlan& plan : plans) {
    const auto& b = contexts.at(static_cast<std::size_t>(plan.base)).tokens;
    for (std::int64_t i = plan.cached - queries; i < plan.cached; ++i) {
      tokens.push_back(b[static_cast<std::size_t>(std::max<std::int64_t>(i, 0))]);
      positions.push_back(std::max<std::int64_t>(i, 0));
    }
    suffix.lengths.push_back(plan.cached);
  }
  const auto shape = std::vector<std::int64_t>{std::ssize(plans), queries};
  suffix.tokens = index_tensor(tokens, placement).view(shape);
  suffix.positions = index_tensor(positions, placement).view(shape);
  return suffix;
}

double squared_distance(const at::Tensor& now, const at::Tensor& old) {
  return (now.to(at::kDouble) - old.to(at::kDouble)).square().sum().item<double>();
}

}  // namespace

void run_patched_suffix(const Transformer& model, const KvCache& contexts,
                        const std::vector<BundleContext>& bundle_contexts,
                        const std::vector<RowPlan>& plans, std::int64_t window, KvCache& rows) {
  const std::int64_t queries = window - 1;  // b[n-1] itself is the first fed token
  std::vector<std::int64_t> row_index;
  std::vector<RowPlan> patched;
  for (std::size_t r = 0; r < plans.size(); ++r) {
    if (plans[r].v_layers.empty()) continue;
    row_index.push_back(static_cast<std::int64_t>(r));
    patched.push_back(plans[r]);
  }
  if (patched.empty()) return;
  const auto n_patched = std::ssize(patched);
  // Padding rows repeat the first row; their results are dropped.
  patched.resize(static_cast<std::size_t>(canonical_rows(n_patched)), patched.front());
  row_index.resize(patched.size(), row_index.front());

  const Placement& placement = model.placement();
  const auto T = contexts.columns();
  const at::Tensor from = index_tensor(row_index, placement);
  KvCache batch{rows.k.narrow(3, 0, T).index_select(1, from),
                rows.v.narrow(3, 0, T).index_select(1, from)};
  const Suffix suffix = suffix_of(bundle_contexts, patched, queries, placement);
  const AttentionBias bias = causal_bias(model.config(), placement, suffix.lengths, T - queries, T);
  ForwardInput input;
  input.tokens = suffix.tokens;
  input.positions = suffix.positions;
  input.column = T - queries;
  input.bias = &bias;
  input.last_kv_layer = model.config().n_layers - 1;
  // Query q is base token n-W+q, which stands opposite the donor's column T-W+q.
  input.patches = make_patches(
      model, contexts, patched, T - window, queries,
      [&](const RowPlan& plan, std::int64_t query) { return query >= window - plan.v_window; });
  model.forward(input, batch);
  const at::Tensor to = from.narrow(0, 0, n_patched);
  rows.k.narrow(3, 0, T).index_copy_(1, to, batch.k.narrow(1, 0, n_patched));
  rows.v.narrow(3, 0, T).index_copy_(1, to, batch.v.narrow(1, 0, n_patched));
}

DecodePatches decode_patches(const Transformer& model, const KvCache& contexts,
                             const std::vector<RowPlan>& plans) {
  const auto last = contexts.columns() - 1;
  return {make_patches(model, contexts, plans, last, 1,
                       [](const RowPlan&, std::int64_t) { return true; }),
          make_patches(model, contexts, plans, last, 1,
                       [](const RowPlan& plan, std::int64_t) { return plan.v_persist; })};
}

void prove_v_patches(const KvCache& contexts, const KvCache& rows,
                     const std::vector<RowPlan>& plans, const std::vector<std::int64_t>& fed_steps,
                     std::vector<PatchProof>& proofs) {
  const auto T = contexts.columns(), n_kv_heads = contexts.v.size(2);
  for (std::size_t r = 0; r < plans.size(); ++r) {
    const RowPlan& plan = plans[r];
    const std::int64_t persisted = plan.v_persist ? fed_steps[r] - 1 : 0;
    for (std::size_t layer = 0; layer < plan.v_layers.size(); ++layer) {
      if (!plan.v_layers[layer]) continue;
      const at::Tensor now = rows.v[layer][r];               // [nkv, columns, hd]
      const at::Tensor base = contexts.v[layer][plan.base];  // [nkv, T, hd]
      proofs[r].cells_changed += (plan.v_window + persisted) * n_kv_heads;
      proofs[r].change_squared +=
          squared_distance(now.narrow(1, T + 1 - plan.v_window, plan.v_window),
                           base.narrow(1, T - plan.v_window, plan.v_window));
      if (persisted > 0)  // base has no cell there: old is 0
        proofs[r].change_squared +=
            now.narrow(1, T + 1, persisted).to(at::kDouble).square().sum().item<double>();
    }
  }
}

}  // namespace rvsweep
