#include "rvsweep/experiment/mean_donors.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "experiment/prompt_batches.hpp"
#include "rvsweep/kernels/device_error.hpp"

namespace rvsweep {
namespace {

void add_prompts(const Transformer& model, const PromptTokens& prompts, std::int64_t rows,
                 std::int64_t columns, std::int64_t m, MeanDonor& mean) {
  const KvCache cache = prefill(model, prompts, rows, columns, model.config().n_layers - 1);
  std::vector<std::int64_t> lengths;
  for (const auto& prompt : prompts) lengths.push_back(std::ssize(prompt));
  add_to_mean(model, cache, lengths, m, mean);
}

MeanDonor mean_over(const Transformer& model, const PromptTokens& prompts) {
  const auto shorter = [](const auto& a, const auto& b) { return a.size() < b.size(); };
  MeanDonor mean;
  if (prompts.empty()) return mean;
  const auto m = std::ssize(*std::min_element(prompts.begin(), prompts.end(), shorter));
  in_batches(prompts, [&](const PromptTokens& batch, std::int64_t rows, std::int64_t columns) {
    add_prompts(model, batch, rows, columns, m, mean);
  });
  return mean;
}

}  // namespace

MeanDonors means_over(const Transformer& model, const MeanPrompts& prompts) {
  const c10::InferenceMode no_autograd;
  return naming_device_errors(
      model.placement().device, "the mean control needs GPUs with more memory", [&] {
        return MeanDonors{mean_over(model, prompts[0]), mean_over(model, prompts[1])};
      });
}

}  // namespace rvsweep
