#include "rvsweep/experiment/bundle_contexts.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "rvsweep/intervention/site_patch.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

/// `values` with `more` empty slots after its own.
at::Tensor with_slots(const at::Tensor& values, std::int64_t more) {
  auto shape = values.sizes().vec();
  shape[0] = more;
  return at::cat({values, at::zeros(shape, values.options())});
}

MeanDonor mean_over(const Transformer& model,
                    const std::vector<std::vector<std::int32_t>>& prompts) {
  constexpr std::ptrdiff_t batch_rows = 8;
  const auto shorter = [](const auto& a, const auto& b) { return a.size() < b.size(); };
  MeanDonor mean;
  if (prompts.empty()) return mean;
  const auto m = std::ssize(*std::min_element(prompts.begin(), prompts.end(), shorter));
  for (auto at = prompts.begin(); at != prompts.end();) {
    const auto end = at + std::min(batch_rows, prompts.end() - at);
    const std::vector<std::vector<std::int32_t>> batch(at, end);
    const auto longest = std::ssize(*std::max_element(at, end, shorter));
    const KvCache cache =
        prefill(model, batch, batch_rows, canonical_length(longest), model.config().n_layers - 1);
    std::vector<std::int64_t> lengths;
    for (const auto& prompt : batch) lengths.push_back(std::ssize(prompt));
    add_to_mean(model, cache, lengths, m, mean);
    at = end;
  }
  return mean;
}

}  // namespace

BundleContexts prepare_contexts(const Transformer& model, const SweepSettings& settings,
                                const Bundle& bundle, const std::vector<CompiledRow>& plans,
                                const MeanDonors& means) {
  const auto C = bundle.shape.contexts, n_derived = std::ssize(bundle.derived);
  const auto L = model.config().n_layers;
  BundleContexts contexts;
  ContextState& state = contexts.state;
  state.cache = KvCache::allocate(model.config(), model.placement(), C + n_derived,
                                  bundle.shape.prompt_length);
  const auto queries = settings.window + settings.tokens_after_window;
  std::vector<SiteCapture> records = captures_for(plans, queries);
  const auto n_sites = std::ssize(records);
  for (const SiteCapture& stream : streams_for(plans, queries)) records.push_back(stream);
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto& context : bundle.contexts) prompts.push_back(context.tokens);
  const bool wants_logits = settings.readouts.first_token && !bundle.rows.empty();
  ForwardInput input;
  input.records = &records;
  input.last_kv_layer = wants_logits ? L : last_layer_for(records, L);
  input.outputs = wants_logits ? Outputs::last_query : Outputs::none;
  KvCache of_prompts{state.cache.k.narrow(1, 0, C), state.cache.v.narrow(1, 0, C)};
  const at::Tensor residual = feed_prompts(model, prompts, input, of_prompts);
  if (wants_logits) contexts.first_logits = model.unembed(residual).to(at::kFloat);
  state.sites.assign(records.begin(), records.begin() + n_sites);
  state.streams.assign(records.begin() + n_sites, records.end());
  if (n_derived == 0) return contexts;
  for (SiteCapture& record : state.sites) record.values = with_slots(record.values, n_derived);
  derive_donors(model, bundle, settings.seed, C, means, state);
  return contexts;
}

MeanDonors means_over(const Transformer& model, const MeanPrompts& prompts) {
  const c10::InferenceMode no_autograd;
  return {mean_over(model, prompts[0]), mean_over(model, prompts[1])};
}

}  // namespace rvsweep
