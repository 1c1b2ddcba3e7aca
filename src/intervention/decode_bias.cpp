#include "rvsweep/intervention/decode_bias.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>
#include <map>

namespace rvsweep {
namespace {

constexpr float hidden = -std::numeric_limits<float>::infinity();

/// What tells one layer's bias from another's: per row the number of cells and the growth.
using Signature = std::vector<std::pair<std::int64_t, Growth>>;

Signature signature_at(std::int64_t layer, const std::vector<CompiledRow>& plans) {
  Signature signature;
  for (const CompiledRow& plan : plans)
    signature.emplace_back(plan.cells_at(layer), plan.growth_at(layer));
  return signature;
}

}  // namespace

DecodeBias::DecodeBias(const ModelConfig& config, const Placement& placement,
                       const std::vector<CompiledRow>& plans, std::int64_t prompt_columns,
                       std::int64_t steps)
    : prompt_columns_(prompt_columns) {
  const auto rows = std::ssize(plans);
  std::map<Signature, std::size_t> known;
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer) {
    const Signature signature = signature_at(layer, plans);
    const auto [found, is_new] = known.try_emplace(signature, bias_.classes.size());
    bias_.class_of_layer.push_back(found->second);
    if (!is_new) continue;
    LayerClass by_row;
    by_row.compound_cells = at::zeros({rows, 1, 1, prompt_columns}, at::kBool);
    by_row.frozen_rows = at::zeros({rows, 1, 1, 1}, at::kBool);
    at::Tensor bias = at::zeros({rows, 1, 1, prompt_columns + steps}, at::kFloat);
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto [cells, growth] = signature[static_cast<std::size_t>(r)];
      bias[r].narrow(-1, 0, prompt_columns - cells).fill_(hidden);
      if (growth == Growth::compound) {
        by_row.compound_cells[r].narrow(-1, prompt_columns - cells, cells).fill_(true);
        by_row.has_compound = true;
      } else if (growth == Growth::frozen) {
        by_row.frozen_rows[r].fill_(true);
        by_row.has_frozen = true;
      }
    }
    by_row.compound_cells = by_row.compound_cells.to(placement.device);
    by_row.frozen_rows = by_row.frozen_rows.to(placement.device);
    bias_.classes.push_back(bias.to(placement.device));
    classes_.push_back(std::move(by_row));
  }
}

const AttentionBias& DecodeBias::at_step(std::int64_t t) {
  if (t == 0) return bias_;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    at::Tensor& bias = bias_.classes[c];
    if (classes_[c].has_compound)
      bias.narrow(-1, 0, prompt_columns_)
          .masked_fill_(classes_[c].compound_cells, std::log(static_cast<double>(t + 1)));
    if (classes_[c].has_frozen)  // the token fed one step ago is gone again
      bias.narrow(-1, prompt_columns_ + t - 1, 1).masked_fill_(classes_[c].frozen_rows, hidden);
  }
  return bias_;
}

AttentionBias forced_bias(const ModelConfig& config, const Placement& placement,
                          const std::vector<CompiledRow>& plans, std::int64_t prompt_columns,
                          std::int64_t queries) {
  DecodeBias steps(config, placement, plans, prompt_columns, queries);
  std::vector<std::vector<at::Tensor>> by_class;  // [classes][queries]
  AttentionBias bias;
  for (std::int64_t t = 0; t < queries; ++t) {
    const AttentionBias& step = steps.at_step(t);
    by_class.resize(step.classes.size());
    for (std::size_t c = 0; c < step.classes.size(); ++c) {
      at::Tensor seen = step.classes[c].clone();
      const auto later = prompt_columns + t + 1;
      seen.narrow(-1, later, seen.size(-1) - later).fill_(hidden);
      by_class[c].push_back(std::move(seen));
    }
    bias.class_of_layer = step.class_of_layer;
  }
  for (const auto& seen : by_class) bias.classes.push_back(at::cat(seen, 2));
  return bias;
}

}  // namespace rvsweep
