#include "experiment/forced.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "rvsweep/intervention/prompt_cache.hpp"
#include "rvsweep/intervention/site_patch.hpp"
#include "rvsweep/intervention/visibility.hpp"
#include "rvsweep/metrics/logits.hpp"
#include "rvsweep/plan/result_schema.hpp"

// Shapes: R rows of a batch, Q tokens fed to each, T prompt columns, H hidden.

namespace rvsweep {
namespace {

using Continuation = std::vector<std::int32_t>;

/// Patched prompts of a batch: columns [0, T) of rows `slots` of a cache.
struct PromptCells {
  const KvCache& cache;
  const std::vector<std::int64_t>& slots;

  /// Those of some rows, followed by Q empty columns.
  KvCache with_room(const RowPiece& piece, std::int64_t T, std::int64_t Q,
                    const Transformer& model) const {
    const auto R = std::ssize(piece.rows);
    KvCache room = KvCache::allocate(model.config(), model.placement(), R, T + Q);
    const std::vector<std::int64_t> of_piece(slots.begin() + piece.first,
                                             slots.begin() + piece.first + R);
    const at::Tensor index = at::tensor(of_piece, at::kLong).to(model.placement().device);
    for (std::int64_t layer = 0; layer < cache.k.size(0); ++layer)
      for (const auto& [from, to] : {std::pair(cache.k, room.k), std::pair(cache.v, room.v)})
        to[layer].narrow(2, 0, T).copy_(from[layer].narrow(2, 0, T).index_select(0, index));
    return room;
  }
};

/// Residual stream [R, Q, H] of rows that are fed b[n-1] and then all but the last token of their
/// continuations, patches and growth as in decoding. Rows without a continuation are fed zeros.
at::Tensor feed_piece(const PreparedBundle& prepared, const RowPiece& piece,
                      const PromptCells& prompts, const std::vector<const Continuation*>& fed,
                      std::int64_t Q) {
  const Transformer& model = prepared.model;
  const ContextState& contexts = prepared.contexts;
  const auto& plans = piece.rows;
  const auto R = std::ssize(plans), T = contexts.columns;
  const Placement& placement = model.placement();
  at::Tensor tokens = at::zeros({R, Q}, at::kLong);
  auto token = tokens.accessor<std::int64_t, 2>();
  std::vector<std::int64_t> first_token, first_position;
  for (std::int64_t r = 0; r < R; ++r) {
    token[r][0] = plans[r].first_token;
    const Continuation* tail = fed[piece.first + r];
    const auto n_fed = tail == nullptr ? 0 : std::min<std::int64_t>(std::ssize(*tail), Q - 1);
    for (std::int64_t q = 0; q < n_fed; ++q) token[r][q + 1] = (*tail)[q];
    first_token.push_back(plans[r].n - 1);
    first_position.push_back(plans[r].first_position());
  }
  const at::Tensor positions =
      (at::tensor(first_position, at::kLong).unsqueeze(1) + at::arange(Q, at::kLong))
          .to(placement.device);
  tokens = tokens.to(placement.device);
  // Steps between which no cache is patched are fed at once.
  std::set<std::int64_t> begins = late_steps(plans);
  // The batch's caches are patched to the end: rows that are not before are prepared once more.
  PreparedRows late = begins.empty() ? PreparedRows{prompts.with_room(piece, T, Q, model), {}}
                                     : prepare_rows(prepared, plans, Q);
  begins.insert(0);
  begins.erase(begins.lower_bound(Q), begins.end());
  std::vector<at::Tensor> residuals;
  for (auto begin = begins.begin(); begin != begins.end(); ++begin) {
    const auto end = std::next(begin) == begins.end() ? Q : *std::next(begin);
    if (*begin > 0) patch_prompt_caches(model, contexts, plans, late.cache, late.proofs, *begin);
    std::vector<std::int64_t> tokens_fed;
    for (const std::int64_t token : first_token) tokens_fed.push_back(token + *begin);
    const PassEdits edits = pass_edits(model, contexts, plans, tokens_fed, end - *begin);
    const LayerVisibility seen = visibility_of(plans, model.config().n_layers, T, *begin);
    ForwardInput input;
    input.tokens = tokens.narrow(1, *begin, end - *begin);
    input.positions = positions.narrow(1, *begin, end - *begin);
    input.column = T + *begin;
    input.seen = &seen;
    input.edits = edits.edits;
    input.last_kv_layer = model.config().n_layers;
    input.outputs = Outputs::every_query;
    residuals.push_back(model.forward(input, late.cache));
  }
  return residuals.size() == 1 ? residuals.front() : at::cat(residuals, 1);
}

/// The same of all rows of a batch.
at::Tensor feed_continuations(const PreparedBundle& prepared, const std::vector<CompiledRow>& plans,
                              const PromptCells& prompts,
                              const std::vector<const Continuation*>& fed) {
  const auto Q = prepared.settings.generation.max_new_tokens;
  std::vector<at::Tensor> residuals;
  for (const RowPiece& piece : pieces_of(plans, prepared.bundle.shape))
    residuals.push_back(feed_piece(prepared, piece, prompts, fed, Q));
  return residuals.size() == 1 ? residuals.front() : at::cat(residuals);
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

Comparison plan_comparison(const PreparedBundle& prepared, const std::vector<Generated>& greedy,
                           bool along_source) {
  const Bundle& bundle = prepared.bundle;
  const auto reaches_beyond_the_model = [&](std::int32_t context) {
    return std::ssize(bundle.contexts[static_cast<std::size_t>(context)].tokens) +
               prepared.settings.generation.max_new_tokens - 1 >
           prepared.model.config().max_positions;
  };
  const auto n_contexts = static_cast<std::size_t>(bundle.shape.contexts);
  Comparison result;
  result.fed.resize(static_cast<std::size_t>(bundle.shape.rows), nullptr);
  for (std::size_t r = 0; r < bundle.rows.size(); ++r) {
    const BundleRow& row = bundle.rows[r];
    const std::int32_t continuation = along_source ? row.counterpart : row.reference;
    if (row.reference < 0 || continuation < 0 || greedy[continuation].tokens.empty()) continue;
    if (reaches_beyond_the_model(row.reference) || reaches_beyond_the_model(continuation)) continue;
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

/// The contexts as unpatched rows: what rows are compared with.
struct Unpatched {
  RowBatch batch;
  KvCache cache = {};
  std::vector<std::int64_t> slots = {};
  std::vector<Generated> greedy = {};  // of every context
};

Unpatched run_unpatched(const PreparedBundle& prepared) {
  const Transformer& model = prepared.model;
  const ContextState& contexts = prepared.contexts;
  Unpatched result{.batch = unpatched_rows(prepared.bundle, model.config())};
  const auto& rows = result.batch.compiled;
  result.greedy = continuations(prepared, result.batch);
  result.cache =
      KvCache::allocate(model.config(), model.placement(), std::ssize(rows), contexts.columns);
  copy_base_cells(contexts, rows, result.cache);
  result.slots.resize(rows.size());
  std::iota(result.slots.begin(), result.slots.end(), 0);
  return result;
}

/// The columns of one continuation: that of the pair's other prompt (`along_source`), or of the
/// reference's own.
void fill_along(bool along_source, const PreparedBundle& prepared, const DecodedBatch& batch,
                const Unpatched& unpatched, ItemTable& table) {
  const Transformer& model = prepared.model;
  const auto R = batch.rows.size();
  const Comparison comparison = plan_comparison(prepared, unpatched.greedy, along_source);
  const at::Tensor rows =
      feed_continuations(prepared, prepared.rows, {batch.cache, batch.slots}, comparison.fed);
  Sums sums{std::vector<double>(R), std::vector<double>(R)};
  for (std::size_t round = 0; round < comparison.references.size(); ++round) {
    const at::Tensor references =
        feed_continuations(prepared, unpatched.batch.compiled, {unpatched.cache, unpatched.slots},
                           comparison.references[round]);
    compare(model, rows, references, comparison.reference_of[round], comparison.fed, sums);
  }
  auto& kl = column(table, along_source ? columns::kl_forced_source : columns::kl_forced_base);
  auto& logprob = column(table, along_source ? columns::logprob_source : columns::logprob_base);
  for (std::size_t r = 0; r < R; ++r) {
    if (comparison.fed[r] == nullptr || !batch.rows[r].failure.empty()) continue;
    const auto length = static_cast<double>(comparison.fed[r]->size());
    kl[r] = sums.kl[r] / length;
    logprob[r] = sums.logprob[r] / length;
  }
}

}  // namespace

void fill_forced(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  if (find_column(table, columns::kl_forced_source) == nullptr) return;
  const Unpatched unpatched = run_unpatched(prepared);
  for (const bool along_source : {false, true})
    fill_along(along_source, prepared, batch, unpatched, table);
}

}  // namespace rvsweep
