#include "plan/packed_bundle.hpp"

#include <algorithm>

#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/memory_budget.hpp"

namespace rvsweep {
namespace {

/// By context: whether some row reads its cells.
std::vector<bool> contexts_read(const PlannedBundle& bundle) {
  std::vector<bool> is_read(bundle.contexts.size());
  const auto read = [&](std::int32_t place) {
    if (place >= 0 && place < std::ssize(is_read)) is_read[static_cast<std::size_t>(place)] = true;
  };
  for (const PlannedBundleRow& row : bundle.rows)
    for (const std::int16_t place : {row.base, row.reference, row.counterpart}) read(place);
  for (const std::int16_t place : bundle.donors) read(place);
  for (const DerivedDonor& donor : bundle.derived) read(donor.of);
  return is_read;
}

double prompt_tokens(const PlannedBundle& bundle, const ModelConfig& model) {
  const BundleShape& shape = bundle.shape;
  if (!are_long(shape.prompt_length))
    return static_cast<double>(shape.contexts * shape.prompt_length);
  const auto per_pair = 2 * static_cast<double>(model.n_layers * model.n_heads * model.head_dim);
  const auto parameters = static_cast<double>(weight_bytes(model, "float32")) / 4;
  double tokens = 0;
  for (const PlannedContext& context : bundle.contexts) {
    const auto n = static_cast<double>(context.n_tokens);
    tokens += n + n * n / 2 * per_pair / parameters;
  }
  return tokens;
}

}  // namespace

void give_columns(std::int64_t least, PlannedBundle& bundle) {
  BundleShape& shape = bundle.shape;
  if (!are_long(shape.prompt_length)) return;
  const std::vector<bool> is_read = contexts_read(bundle);
  shape.slot_columns = shape.longest = shape.scratch = 0;
  for (const DerivedDonor& donor : bundle.derived) shape.slot_columns += donor.tokens;
  for (std::size_t c = 0; c < is_read.size(); ++c) {
    PlannedContext& context = bundle.contexts[c];
    const std::int64_t whole = std::max<std::int64_t>(context.n_tokens, least);
    context.columns = static_cast<std::int32_t>(is_read[c] ? whole : least);
    shape.slot_columns += context.columns;
    shape.longest = std::max(shape.longest, whole);
    if (context.columns < whole) shape.scratch = std::max(shape.scratch, whole);
  }
}

/// Texts read again are fed once more. `forced` feeds both continuations to every row, and contexts
/// generate them and read them as references.
double tokens_fed(const PlannedBundle& bundle, const SweepConfig& config,
                  const ModelConfig& model) {
  const ReadoutsConfig& readouts = config.readouts;
  const std::int64_t per_row = 1 + (readouts.reencode ? 1 : 0) + (readouts.forced ? 2 : 0);
  const std::int64_t per_context = readouts.forced ? 3 : 0;
  return prompt_tokens(bundle, model) +
         static_cast<double>(config.generation.max_new_tokens *
                             (bundle.shape.rows * per_row + bundle.shape.contexts * per_context));
}

}  // namespace rvsweep
