#include "rvsweep/plan/time_estimate.hpp"

#include <algorithm>

#include "rvsweep/model_config/parameters.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

struct Estimate {
  const BundleNeeds& needs;
  const Speed& speed;
  double layers = 0, head = 0;  // elements of matrices

  /// Tokens of many rows or prompts, fed together.
  double fed(double tokens, bool with_head) const {
    return 2 * tokens * (layers + (with_head ? head : 0)) / speed.products;
  }
  /// Attention of `tokens` queries to so many keys each.
  double attention(double tokens, double keys) const {
    const ModelConfig& m = needs.model;
    const auto width = static_cast<double>(m.n_layers * m.n_heads * m.head_dim);
    return 4 * width * tokens * keys / speed.attention;
  }
  /// Causal attention of a prompt alone over itself, half of its keys or a window.
  double causal_attention(double tokens) const {
    double seconds = 0;
    for (std::int64_t layer = 0; layer < needs.model.n_layers; ++layer) {
      const auto window = static_cast<double>(needs.model.window(layer));
      const double keys = window > 0 ? std::min(tokens / 2, window) : tokens / 2;
      seconds += attention(tokens, keys) / static_cast<double>(needs.model.n_layers);
    }
    return seconds;
  }
  /// Rows that generate, beside prompts of T columns: few rows take as long as the matrices do to
  /// be read.
  double decoding(double rows, std::int64_t T) const {
    if (rows == 0) return 0;
    const auto N = static_cast<double>(std::max<std::int64_t>(needs.new_tokens, 1));
    const double matrices = (layers + head) * needs.element / speed.reads;
    const double cells = 2 * needs.element *
                         static_cast<double>(needs.model.n_layers * needs.model.kv_dim()) *
                         (static_cast<double>(T) + N / 2);
    return N * (std::max(fed(rows, true), matrices) + rows * cells / speed.reads);
  }
};

double prompts_of(const Estimate& estimate, const PlannedBundle& bundle) {
  const auto T = static_cast<double>(bundle.shape.prompt_length);
  if (!are_long(bundle.shape.prompt_length)) {
    const auto C = static_cast<double>(bundle.shape.contexts);
    return estimate.fed(C * T, false) + C * estimate.attention(T, T);
  }
  double seconds = 0;
  for (const PlannedContext& context : bundle.contexts) {
    const auto n = static_cast<double>(
        std::max<std::int64_t>(context.n_tokens, estimate.needs.patched_tokens));
    seconds += estimate.fed(n, false) + estimate.causal_attention(n);
  }
  return seconds;
}

/// Read-outs that feed tokens again: texts, and with `forced` two continuations to rows and
/// contexts, which generate one.
double read_outs(const Estimate& estimate, const BundleShape& shape) {
  const auto R = static_cast<double>(shape.rows), C = static_cast<double>(shape.contexts);
  const auto N = static_cast<double>(estimate.needs.new_tokens);
  const ReadoutsConfig& readouts = estimate.needs.readouts;
  double seconds = 0;
  if (readouts.reencode) seconds += estimate.fed(R * N, false);
  if (readouts.forced && R > 0)
    seconds += estimate.decoding(C, shape.prompt_length) + estimate.fed(2 * (R + C) * N, true);
  return seconds;
}

}  // namespace

double seconds_of(const Plan& plan, const BundleNeeds& needs, const Speed& speed) {
  Estimate estimate{needs, speed};
  for (const Parameter& parameter : parameters_of(needs.model)) {
    const auto elements = static_cast<double>(parameter.numel());
    const bool is_tied = needs.model.tied_head && parameter.slot == Slot::embedding;
    if (parameter.slot == Slot::head || is_tied)
      estimate.head += elements;
    else if (parameter.role == Role::product)
      estimate.layers += elements;
  }
  double seconds = 0;
  for (const PlannedBundle& bundle : plan.bundles)
    seconds +=
        prompts_of(estimate, bundle) + read_outs(estimate, bundle.shape) +
        estimate.decoding(static_cast<double>(bundle.shape.rows), bundle.shape.prompt_length);
  return seconds;
}

}  // namespace rvsweep
