#include "rvsweep/experiment/natural_states.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <limits>

#include "experiment/prompt_batches.hpp"
#include "rvsweep/kernels/device_error.hpp"

namespace rvsweep {
namespace {

constexpr auto infinity = std::numeric_limits<double>::infinity();
constexpr auto nan = std::numeric_limits<double>::quiet_NaN();

/// Euclidean distances, each from the differences: a row's bits do not depend on other rows, and
/// near states are not lost in their norms.
at::Tensor distances(const at::Tensor& a, const at::Tensor& b) {
  constexpr std::int64_t without_products = 2;
  return at::cdist(a, b, 2.0, without_products);
}

/// [layers, prompts, hidden]
at::Tensor states_of(const Transformer& model, const PromptTokens& prompts,
                     const std::vector<std::int64_t>& layers) {
  std::vector<at::Tensor> parts;
  visit_last_tokens(model, prompts, Site::resid_post, layers,
                    [&](const std::vector<SiteCapture>& captures) {
                      std::vector<at::Tensor> of_layers;  // [prompts, hidden]
                      for (const SiteCapture& capture : captures)
                        of_layers.push_back(capture.values.flatten(1).to(at::kFloat));
                      parts.push_back(at::stack(of_layers));
                    });
  return at::cat(parts, 1);
}

}  // namespace

NaturalStates natural_states(const Transformer& model, const PromptTokens& prompts,
                             const std::vector<std::int64_t>& layers) {
  const c10::InferenceMode no_autograd;
  NaturalStates natural{layers, prompts, {}, {}};
  if (layers.empty()) return natural;
  naming_device_errors(model.placement().device,
                       "readouts.state_distance needs GPUs with more memory", [&] {
                         natural.states = states_of(model, prompts, layers);
                         std::vector<at::Tensor> spacing;
                         for (const at::Tensor& of_layer : natural.states.unbind(0)) {
                           at::Tensor apart = distances(of_layer, of_layer);
                           apart.fill_diagonal_(infinity);
                           spacing.push_back(std::get<0>(apart.min(1)).median());
                         }
                         natural.spacing = at::stack(spacing);
                       });
  return natural;
}

std::int64_t place_of_prompt(const NaturalStates& natural,
                             const std::vector<std::int32_t>& tokens) {
  const auto begins_so = [&](const std::vector<std::int32_t>& prompt) {
    return prompt.size() >= tokens.size() &&
           std::equal(tokens.begin(), tokens.end(), prompt.begin());
  };
  auto found = std::ranges::find(natural.prompts, tokens);
  if (found == natural.prompts.end()) found = std::ranges::find_if(natural.prompts, begins_so);
  return found == natural.prompts.end() ? -1 : found - natural.prompts.begin();
}

at::Tensor distance_from(const NaturalStates& natural, std::int64_t i, const at::Tensor& states,
                         const std::vector<std::int64_t>& own) {
  const at::Tensor places = at::arange(std::ssize(natural.prompts)),
                   left_out = places == at::tensor(own, at::kLong).unsqueeze(1);
  const at::Tensor apart = distances(states.to(at::kFloat), natural.states[i]);
  const at::Tensor nearest =
      std::get<0>(apart.masked_fill(left_out.to(apart.device()), infinity).min(1)) /
      natural.spacing[i];
  return at::where(nearest.isfinite(), nearest, nan).to(at::kFloat);
}

}  // namespace rvsweep
