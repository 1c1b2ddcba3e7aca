#include "rvsweep/intervention/site_patch.hpp"

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "rvsweep/plan/canonical_shapes.hpp"

// Shapes: R rows, Q queries, T prompt columns.

namespace rvsweep {
namespace {

/// Rows of a capture [slots, queries, heads, dim] by slot and token, counted from the capture's
/// last one: [R, Q, heads, dim].
at::Tensor gather_rows(const at::Tensor& capture, const at::Tensor& slots,
                       const at::Tensor& from_end, at::Device device) {
  const at::Tensor index = capture.size(1) - 1 - from_end;
  return capture.index({slots.to(device), index.clamp_min(0).to(device)});
}

/// Which patches of the rows one edit holds.
struct EditKind {
  Site site = Site::v;
  std::size_t index = 0;  // into CompiledRow::sites
  SiteOperation operation = SiteOperation::replace;
  std::string direction = {};
};

const CompiledSitePatch* patch_of(const CompiledRow& plan, const EditKind& kind) {
  if (kind.index >= plan.sites.size()) return nullptr;
  const CompiledSitePatch& patch = plan.sites[kind.index];
  const bool is_of_kind = patch.site == kind.site && patch.operation == kind.operation &&
                          patch.direction == kind.direction;
  return is_of_kind ? &patch : nullptr;
}

/// Those that occur, in the order in which they are applied; a row has one patch of an index.
std::vector<EditKind> kinds_of(const std::vector<CompiledRow>& plans, Site site) {
  std::set<std::tuple<std::size_t, SiteOperation, std::string>> found;
  for (const CompiledRow& plan : plans)
    for (std::size_t index = 0; index < plan.sites.size(); ++index)
      if (const CompiledSitePatch& patch = plan.sites[index]; patch.site == site)
        found.emplace(index, patch.operation, patch.direction);
  std::vector<EditKind> kinds;
  for (const auto& [index, operation, direction] : found)
    kinds.push_back({site, index, operation, direction});
  return kinds;
}

/// What the patches of one kind read and write, the same at all layers.
struct SiteMap {
  at::Tensor donors, donor_from_end;  // int64 [R, 1], [R, Q]
  at::Tensor bases, base_from_end;    // int64 [R, 1], [R, Q]
  at::Tensor in_base;                 // float32 [R, Q, 1, 1], 1 where base has the token
};

/// 1 where a row's patch of this kind writes a head at a query of a layer, float32
/// [R, Q, heads, 1]; undefined where none does.
at::Tensor written_at(const SiteCapture& capture, const EditKind& kind,
                      const std::vector<CompiledRow>& plans,
                      const std::vector<std::int64_t>& first_token, std::int64_t queries) {
  const auto heads = capture.values.size(2);
  at::Tensor written = at::zeros({std::ssize(plans), queries, heads, 1}, at::kFloat);
  auto cell = written.accessor<float, 4>();
  bool any = false;
  for (std::int64_t r = 0; r < std::ssize(plans); ++r) {
    const CompiledSitePatch* patch = patch_of(plans[r], kind);
    if (patch == nullptr || !patch->layers[capture.layer]) continue;
    for (std::int64_t q = 0; q < queries; ++q)
      for (std::int64_t head = 0; head < heads; ++head)
        if (patch->heads[head] && plans[r].donor_token(*patch, first_token[r] + q)) {
          cell[r][q][head][0] = 1.0F;
          any = true;
        }
  }
  return any ? written : at::Tensor();
}

SiteMap site_map(const EditKind& kind, const std::vector<CompiledRow>& plans,
                 const std::vector<std::int64_t>& first_token, std::int64_t queries) {
  const auto R = std::ssize(plans);
  SiteMap map{at::zeros({R, 1}, at::kLong), at::zeros({R, queries}, at::kLong),
              at::zeros({R, 1}, at::kLong), at::zeros({R, queries}, at::kLong),
              at::zeros({R, queries, 1, 1}, at::kFloat)};
  auto donor_from_end = map.donor_from_end.accessor<std::int64_t, 2>();
  auto base_from_end = map.base_from_end.accessor<std::int64_t, 2>();
  auto in_base = map.in_base.accessor<float, 4>();
  for (std::int64_t r = 0; r < R; ++r) {
    const CompiledRow& plan = plans[r];
    const CompiledSitePatch* patch = patch_of(plan, kind);
    if (patch == nullptr) continue;
    map.donors[r] = patch->donor;
    map.bases[r] = plan.base;
    for (std::int64_t q = 0; q < queries; ++q) {
      const std::int64_t i = first_token[r] + q;
      const auto j = plan.donor_token(*patch, i);
      if (!j) continue;
      donor_from_end[r][q] = patch->m - 1 - *j;
      if (i >= plan.n) continue;
      base_from_end[r][q] = plan.n - 1 - i;
      in_base[r][q][0][0] = 1.0F;
    }
  }
  return map;
}

/// float32 [R, 1, 1, 1], 0 for rows without a patch of this kind.
at::Tensor weight_of(const std::vector<CompiledRow>& plans, const EditKind& kind) {
  std::vector<float> weight;
  for (const CompiledRow& plan : plans) {
    const CompiledSitePatch* patch = patch_of(plan, kind);
    weight.push_back(patch == nullptr ? 0 : static_cast<float>(patch->weight()));
  }
  return at::tensor(weight, at::kFloat).view({-1, 1, 1, 1});
}

/// A kind with what all layers of its site share.
struct MappedKind {
  EditKind kind;
  SiteMap map;
  at::Tensor weight;  // as weight_of
};

std::vector<MappedKind> mapped_kinds(const std::vector<CompiledRow>& plans, Site site,
                                     const std::vector<std::int64_t>& first_token,
                                     std::int64_t queries) {
  std::vector<MappedKind> mapped;
  for (EditKind& kind : kinds_of(plans, site)) {
    SiteMap map = site_map(kind, plans, first_token, queries);
    at::Tensor weight = weight_of(plans, kind);
    mapped.push_back({std::move(kind), std::move(map), std::move(weight)});
  }
  return mapped;
}

/// The suffix queries of a padded batch of rows: the last `queries` tokens with cells.
struct Suffix {
  at::Tensor positions;                   // int64 [rows, queries]
  std::vector<std::int64_t> lengths;      // cached cells, [rows]
  std::vector<std::int64_t> first_token;  // of the queries; below 0 for short prompts
};

Suffix suffix_of(const std::vector<CompiledRow>& plans, std::int64_t queries, at::Device device) {
  std::vector<std::int64_t> positions;
  Suffix suffix;
  for (const CompiledRow& plan : plans) {
    suffix.first_token.push_back(plan.cached - queries);
    suffix.lengths.push_back(plan.cached);
    for (std::int64_t i = plan.cached - queries; i < plan.cached; ++i)
      positions.push_back(std::max<std::int64_t>(i, 0));
  }
  suffix.positions = at::tensor(positions, at::kLong).to(device).view({std::ssize(plans), queries});
  return suffix;
}

/// The unpatched residual stream that enters `stream.layer` at the suffix queries of some rows,
/// [rows, queries, hidden].
at::Tensor stream_of(const SiteCapture& stream, const std::vector<CompiledRow>& plans,
                     std::int64_t queries) {
  const auto R = std::ssize(plans);
  at::Tensor bases = at::zeros({R, 1}, at::kLong), from_end = at::zeros({R, queries}, at::kLong);
  auto base = bases.accessor<std::int64_t, 2>(), back = from_end.accessor<std::int64_t, 2>();
  for (std::int64_t r = 0; r < R; ++r) {
    base[r][0] = plans[r].base;
    for (std::int64_t q = 0; q < queries; ++q)
      back[r][q] = plans[r].n - 1 - plans[r].cached + queries - q;
  }
  return gather_rows(stream.values, bases, from_end, stream.values.device()).squeeze(2);
}

/// The suffix of the rows whose patches begin at `stream.layer`.
void run_from(const SiteCapture& stream, const Transformer& model, const ContextState& contexts,
              const std::vector<CompiledRow>& plans, std::vector<std::int64_t> row_index,
              std::int64_t queries, KvCache& rows, std::vector<SiteCapture>& measured,
              std::vector<RowProof>& proofs) {
  std::vector<CompiledRow> patched;
  std::vector<CapturedRow> captured_rows;
  for (const std::int64_t r : row_index) {
    captured_rows.push_back({std::ssize(patched), r, plans[r].n - plans[r].cached});
    patched.push_back(plans[r]);
  }
  const auto n_patched = std::ssize(patched);
  // Padding rows repeat the first row; their results are dropped.
  patched.resize(static_cast<std::size_t>(padded_rows(n_patched, contexts.columns)),
                 patched.front());
  row_index.resize(patched.size(), row_index.front());

  const auto device = model.placement().device;
  const auto T = contexts.columns;
  const at::Tensor from = at::tensor(row_index, at::kLong).to(device);
  // Layers before the stream's are neither read nor changed.
  const auto n_layers = model.config().n_layers, n_run = n_layers - stream.layer;
  const auto run_layers = [&](const at::Tensor& x) {
    return x.narrow(0, stream.layer, n_run).narrow(3, 0, T);
  };
  KvCache batch = KvCache::allocate(model.config(), model.placement(), std::ssize(row_index), T);
  run_layers(batch.k).copy_(run_layers(rows.k).index_select(1, from));
  run_layers(batch.v).copy_(run_layers(rows.v).index_select(1, from));
  const Suffix suffix = suffix_of(patched, queries, device);
  const LayerVisibility seen = causal_visibility(model.config().n_layers, suffix.lengths, T);
  const PassEdits edits = pass_edits(model, contexts, patched, suffix.first_token, queries);
  std::vector<SiteCapture> captures = edits.captures;
  for (const SiteCapture& of_site : measured)
    if (of_site.layer >= stream.layer) captures.push_back({of_site.site, of_site.layer, queries});
  ForwardInput input;
  input.positions = suffix.positions;
  input.column = T - queries;
  input.seen = &seen;
  input.edits = edits.edits;
  input.captures = &captures;
  input.first_layer = stream.layer;
  input.residual = stream_of(stream, patched, queries);
  input.last_kv_layer = last_layer_for(captures, model.config().n_layers);
  model.forward(input, batch);
  const at::Tensor to = from.narrow(0, 0, n_patched);
  run_layers(rows.k).index_copy_(1, to, run_layers(batch.k).narrow(1, 0, n_patched));
  run_layers(rows.v).index_copy_(1, to, run_layers(batch.v).narrow(1, 0, n_patched));
  put_captured(std::span(captures).subspan(edits.captures.size()), captured_rows, measured);
  if (edits.empty()) return;  // windows of one row reach b[n-1] alone
  const at::Tensor change = edits.change(captures).to(at::kCPU);
  for (std::int64_t p = 0; p < n_patched; ++p)
    add_change(patched[p], change[p], proofs[row_index[p]]);
}

}  // namespace

at::Tensor PassEdits::change(const std::vector<SiteCapture>& filled) const {
  const auto most = *std::ranges::max_element(patch) + 1;
  at::Tensor total =
      at::zeros({written.front().size(0), most}, written.front().options().dtype(at::kDouble));
  std::size_t before = edits.size();
  for (std::size_t i = 0; i < edits.size(); ++i)
    total.select(1, patch[i])
        .add_(change_squared(filled[i].values, old[i].defined() ? old[i] : filled[before++].values,
                             written[i]));
  return total;
}

void add_change(const CompiledRow& plan, const at::Tensor& change, RowProof& proof) {
  const auto of_patch = change.accessor<double, 1>();
  for (std::int64_t i = 0; i < std::min(std::ssize(plan.sites), change.size(0)); ++i)
    proof[plan.sites[i].place].change_squared += of_patch[i];
}

std::int64_t last_layer_for(const std::vector<SiteCapture>& captures, std::int64_t n_layers) {
  const bool beyond_v = std::ranges::any_of(captures, [&](const SiteCapture& capture) {
    return capture.layer == n_layers - 1 && capture.site != Site::resid_pre &&
           capture.site != Site::k && capture.site != Site::v;
  });
  return beyond_v ? n_layers : n_layers - 1;
}

std::vector<SiteCapture> captures_for(const std::vector<CompiledRow>& plans, std::int64_t queries) {
  std::set<std::pair<Site, std::int64_t>> wanted;
  for (const CompiledRow& plan : plans)
    for (const CompiledSitePatch& patch : plan.sites)
      for (std::size_t layer = 0; layer < patch.layers.size(); ++layer)
        if (patch.layers[layer]) wanted.emplace(patch.site, layer);
  std::vector<SiteCapture> captures;
  for (const auto& [site, layer] : wanted) captures.push_back({site, layer, queries});
  return captures;
}

PassEdits pass_edits(const Transformer& model, const ContextState& contexts,
                     const std::vector<CompiledRow>& plans,
                     const std::vector<std::int64_t>& first_token, std::int64_t queries) {
  const Placement& placement = model.placement();
  const auto device = placement.device;
  PassEdits result;
  std::vector<SiteCapture> before;
  std::map<Site, std::vector<MappedKind>> known;
  for (const SiteCapture& capture : contexts.sites) {
    const auto [of_site, is_new] = known.try_emplace(capture.site);
    if (is_new) of_site->second = mapped_kinds(plans, capture.site, first_token, queries);
    for (const auto& [kind, map, weight] : of_site->second) {
      const at::Tensor written = written_at(capture, kind, plans, first_token, queries);
      if (!written.defined()) continue;
      SiteEdit edit{capture.site, capture.layer, {}, {}, kind.operation};
      if (!kind.direction.empty())
        edit.values = contexts.directions->at({kind.site, kind.direction})
                          .select(0, capture.layer)
                          .unsqueeze(0)
                          .unsqueeze(0);
      else if (kind.operation != SiteOperation::scale)
        edit.values = gather_rows(capture.values, map.donors, map.donor_from_end, device);
      edit.weight = (written * weight).to(device);
      result.edits.push_back(std::move(edit));
      result.captures.push_back({capture.site, capture.layer, queries});
      if (replaces(kind.operation)) {
        result.old.push_back(gather_rows(capture.values, map.bases, map.base_from_end, device) *
                             map.in_base.to(device, placement.dtype));
      } else {
        result.old.emplace_back();
        before.push_back({capture.site, capture.layer, queries, {}, /*before_edits=*/true});
      }
      result.written.push_back(written.to(device));
      result.patch.push_back(static_cast<std::int64_t>(kind.index));
    }
  }
  result.captures.insert(result.captures.end(), before.begin(), before.end());
  return result;
}

std::vector<SiteCapture> streams_for(const std::vector<CompiledRow>& plans, std::int64_t queries) {
  std::set<std::int64_t> layers;
  for (const CompiledRow& plan : plans)
    if (plan.patches_prompt()) layers.insert(plan.first_site_layer());
  std::vector<SiteCapture> captures;
  for (const std::int64_t layer : layers) captures.push_back({Site::resid_pre, layer, queries});
  return captures;
}

void run_patched_suffix(const Transformer& model, const ContextState& contexts,
                        const std::vector<CompiledRow>& plans, std::int64_t tokens, KvCache& rows,
                        std::vector<SiteCapture>& measured, std::vector<RowProof>& proofs) {
  for (const SiteCapture& stream : contexts.streams) {
    std::map<std::int64_t, std::vector<std::int64_t>> begin_here;  // by the number of queries
    for (std::size_t r = 0; r < plans.size(); ++r) {
      const CompiledRow& plan = plans[r];
      if (!plan.patches_prompt() || plan.first_site_layer() != stream.layer) continue;
      const std::int64_t reached = plan.reach() <= tokens ? tokens : contexts.columns;
      begin_here[plan.refeeds ? reached : reached - 1].push_back(static_cast<std::int64_t>(r));
    }
    for (auto& [queries, row_index] : begin_here)
      run_from(stream, model, contexts, plans, std::move(row_index), queries, rows, measured,
               proofs);
  }
}

}  // namespace rvsweep
