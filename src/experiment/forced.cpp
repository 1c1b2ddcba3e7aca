#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "experiment/columns.hpp"
#include "experiment/logit_readouts.hpp"
#include "rvsweep/intervention/decode_bias.hpp"
#include "rvsweep/intervention/prompt_cache.hpp"
#include "rvsweep/intervention/site_patch.hpp"
#include "rvsweep/metrics/logits.hpp"

// Shapes: R rows of a batch, Q tokens fed to each, T prompt columns, H hidden.

namespace rvsweep {
namespace {

using Continuation = std::vector<std::int32_t>;

/// Residual stream [R, Q, H] of rows that are fed b[n-1] and then all but the last token of their
/// continuations, patches and growth as in decoding. Rows without a continuation are fed zeros.
at::Tensor feed_continuations(const Transformer& model, const ContextState& contexts,
                              const std::vector<CompiledRow>& plans, const KvCache& prompts,
                              const std::vector<const Continuation*>& fed, std::int64_t Q) {
  const auto R = std::ssize(plans), T = contexts.cache.columns();
  const Placement& placement = model.placement();
  KvCache cache = KvCache::allocate(model.config(), placement, R, T + Q);
  cache.k.narrow(3, 0, T).copy_(prompts.k.narrow(3, 0, T));
  cache.v.narrow(3, 0, T).copy_(prompts.v.narrow(3, 0, T));
  at::Tensor tokens = at::zeros({R, Q}, at::kLong);
  auto token = tokens.accessor<std::int64_t, 2>();
  std::vector<std::int64_t> first_token, first_position;
  for (std::int64_t r = 0; r < R; ++r) {
    token[r][0] = plans[r].first_token;
    const auto n_fed = fed[r] == nullptr ? 0 : std::min<std::int64_t>(std::ssize(*fed[r]), Q - 1);
    for (std::int64_t q = 0; q < n_fed; ++q) token[r][q + 1] = (*fed[r])[q];
    first_token.push_back(plans[r].n - 1);
    first_position.push_back(plans[r].first_position());
  }
  const PassEdits patches = pass_edits(model, contexts, plans, first_token, Q);
  const AttentionBias bias = forced_bias(model.config(), placement, plans, T, Q);
  ForwardInput input;
  input.tokens = tokens.to(placement.device);
  input.positions = (at::tensor(first_position, at::kLong).unsqueeze(1) + at::arange(Q, at::kLong))
                        .to(placement.device);
  input.column = T;
  input.bias = &bias;
  input.patches = patches.patches;
  input.last_kv_layer = model.config().n_layers;
  input.outputs = Outputs::every_query;
  return model.forward(input, cache);
}

/// Sums over a continuation's positions, of every row.
struct Sums {
  std::vector<double> kl, logprob;
};

/// The rows against their references, the two fed the same tokens. `reference_of`: row of
/// `reference` that a row is compared with, -1 where none.
void compare(const Transformer& model, const at::Tensor& rows, const at::Tensor& reference,
             const std::vector<std::int64_t>& reference_of,
             const std::vector<const Continuation*>& fed, Sums& sums) {
  const auto R = std::ssize(reference_of);
  std::size_t longest = 0;
  for (std::int64_t r = 0; r < R; ++r)
    if (reference_of[r] >= 0) longest = std::max(longest, fed[r]->size());
  std::vector<std::int64_t> slots;
  for (const std::int64_t slot : reference_of) slots.push_back(std::max<std::int64_t>(slot, 0));
  const at::Tensor index = at::tensor(slots, at::kLong).to(rows.device());
  // There are fewer references than rows: several positions of theirs make one product. How many
  // depends on the bundle's shape alone.
  const auto steps = std::max<std::int64_t>(1, rows.size(0) / reference.size(0));
  const std::vector<at::Tensor> pieces = reference.split(steps, 1);
  at::Tensor log_p_of_steps;  // [references, steps, vocab]
  for (std::size_t q = 0; q < longest; ++q) {
    std::vector<std::int64_t> next;
    for (std::int64_t r = 0; r < R; ++r)
      next.push_back(fed[r] != nullptr && q < fed[r]->size() ? (*fed[r])[q] : 0);
    const auto at = static_cast<std::int64_t>(q);
    const at::Tensor log_q = log_probabilities(model.unembed(rows.select(1, at)).narrow(0, 0, R));
    if (at % steps == 0) log_p_of_steps = log_probabilities(model.unembed(pieces[at / steps]));
    const at::Tensor log_p = log_p_of_steps.select(1, at % steps);
    const at::Tensor token = at::tensor(next, at::kLong).to(rows.device());
    const at::Tensor kl = kl_divergence(log_p, log_q, index).to(at::kCPU);
    const at::Tensor expected =
        log_p.index_select(1, token).gather(0, index.unsqueeze(0)).squeeze(0);
    const at::Tensor logprob = (token_log_probability(log_q, token) - expected).to(at::kCPU);
    for (std::int64_t r = 0; r < R; ++r) {
      if (reference_of[r] < 0 || q >= fed[r]->size()) continue;
      sums.kl[r] += kl.const_data_ptr<double>()[r];
      sums.logprob[r] += logprob.const_data_ptr<double>()[r];
    }
  }
}

/// What every row of a bundle is fed, and the unpatched references that it is compared with.
/// References run in batches of all contexts, each at its own slot, so that their bits depend on
/// nothing but the bundle's shape and the slot; a context that is fed several continuations takes
/// part in several batches.
struct Comparison {
  std::vector<const Continuation*> fed;                      // by row, padding rows too; or null
  std::vector<std::vector<const Continuation*>> references;  // by round and context; or null
  std::vector<std::vector<std::int64_t>> reference_of;       // by round and row: context, or -1
};

Comparison plan_comparison(const Bundle& bundle, const std::vector<Generated>& greedy,
                           bool along_source) {
  const auto n_contexts = static_cast<std::size_t>(bundle.shape.contexts);
  Comparison result;
  result.fed.resize(static_cast<std::size_t>(bundle.shape.rows), nullptr);
  for (std::size_t r = 0; r < bundle.rows.size(); ++r) {
    const BundleRow& row = bundle.rows[r];
    const std::int32_t continuation = along_source ? row.counterpart : row.reference;
    if (row.reference < 0 || continuation < 0 || greedy[continuation].tokens.empty()) continue;
    const Continuation* tokens = result.fed[r] = &greedy[continuation].tokens;
    std::size_t round = 0;
    for (;; ++round) {
      if (round == result.references.size()) {
        result.references.emplace_back(n_contexts, nullptr);
        result.reference_of.emplace_back(bundle.rows.size(), -1);
      }
      const Continuation*& there = result.references[round][row.reference];
      if (there == nullptr) there = tokens;
      if (there == tokens) break;
    }
    result.reference_of[round][r] = row.reference;
  }
  return result;
}

/// Unpatched rows of all contexts, with their caches.
struct ContextRows {
  std::vector<CompiledRow> plans;
  KvCache cache;
};

ContextRows context_rows(const Transformer& model, const Bundle& bundle,
                         const ContextState& contexts) {
  ContextRows rows;
  const auto C = bundle.shape.contexts;
  for (std::int32_t c = 0; c < C; ++c) {
    BundleRow row;
    row.base = c < std::ssize(bundle.contexts) ? c : 0;
    rows.plans.push_back(compile_row(Arm{}, row, bundle, C, model.config()));
  }
  rows.cache = KvCache::allocate(model.config(), model.placement(), C, contexts.cache.columns());
  copy_base_cells(contexts.cache, rows.plans, rows.cache);
  return rows;
}

}  // namespace

void fill_forced(const Transformer& model, const SweepSettings& settings, const Bundle& bundle,
                 const BundleContexts& contexts, const DecodedBatch& batch, ItemTable& table) {
  if (find_column<double>(table, "kl_forced_source") == nullptr) return;
  const auto R = bundle.rows.size();
  const auto Q = settings.generation.max_new_tokens;
  const auto greedy = continuations(model, settings, bundle, contexts.state);
  const ContextRows unpatched = context_rows(model, bundle, contexts.state);
  for (const bool along_source : {false, true}) {
    const Comparison comparison = plan_comparison(bundle, greedy, along_source);
    const at::Tensor rows =
        feed_continuations(model, contexts.state, batch.plans, batch.cache, comparison.fed, Q);
    Sums sums{std::vector<double>(R), std::vector<double>(R)};
    for (std::size_t round = 0; round < comparison.references.size(); ++round) {
      const at::Tensor references = feed_continuations(
          model, contexts.state, unpatched.plans, unpatched.cache, comparison.references[round], Q);
      compare(model, rows, references, comparison.reference_of[round], comparison.fed, sums);
    }
    const std::string name = along_source ? "source" : "base";
    auto& kl = column<double>(table, "kl_forced_" + name);
    auto& logprob = column<double>(table, "logprob_" + name);
    for (std::size_t r = 0; r < R; ++r) {
      if (comparison.fed[r] == nullptr || !batch.rows[r].failure.empty()) continue;
      const auto length = static_cast<double>(comparison.fed[r]->size());
      kl[r] = sums.kl[r] / length;
      logprob[r] = sums.logprob[r] / length;
    }
  }
}

}  // namespace rvsweep
