#include "plan_prompts.hpp"

#include <algorithm>
#include <utility>

#include "rvsweep/core/hash.hpp"

namespace rvsweep {
namespace {

/// Encoded together: enough for the threads' start to cost nothing, few enough to hold.
constexpr std::size_t block_prompts = 4096;

}  // namespace

PromptPlanner::PromptPlanner(Plan& plan, const PlanText& text, const SweepConfig& config,
                             const ModelConfig& model, bool keep_texts)
    : plan_(plan),
      text_(text),
      config_(config),
      model_(model),
      keep_texts_(keep_texts),
      groups_(plan.groups),
      refusals_(plan.refusals) {}

void PromptPlanner::add(Prompt prompt) {
  collected_.push_back(std::move(prompt));
  if (collected_.size() == block_prompts) start();
}

void PromptPlanner::finish() {
  start();
  take_over(std::exchange(running_, {}));
}

/// Takes over the block that is being encoded and has the collected prompts encoded meanwhile.
void PromptPlanner::start() {
  Block done = std::exchange(running_, {});
  running_.prompts = std::exchange(collected_, {});
  const std::size_t n = running_.prompts.size();
  running_.encodings.resize(n);
  const auto threads = static_cast<std::size_t>(text_.threads);
  const std::size_t share = (n + threads - 1) / threads;
  for (std::size_t begin = 0; begin < n; begin += share)
    running_.shares.push_back(std::async(
        std::launch::async,
        [encode = &text_.encode_prompt, prompts = running_.prompts.data(),
         encodings = running_.encodings.data(), begin, end = std::min(n, begin + share)] {
          for (std::size_t p = begin; p < end; ++p)
            if (!prompts[p].text.empty()) encodings[p] = (*encode)(prompts[p].text);
        }));
  take_over(std::move(done));
}

void PromptPlanner::take_over(Block block) {
  for (auto& share : block.shares) share.get();
  for (std::size_t p = 0; p < block.prompts.size(); ++p) {
    const Prompt& prompt = block.prompts[p];
    const PromptEncoding& encoded = block.encodings[p];
    PlannedPrompt planned;
    planned.number = PromptIndex(static_cast<std::int32_t>(plan_.prompts.size()));
    planned.n_tokens = static_cast<std::int32_t>(encoded.encoding.ids.size());
    if (config_.window_end == WindowEnd::user_end)
      planned.tokens_after_window = static_cast<std::int32_t>(encoded.tokens_after_user);
    planned.group = groups_.number_of(prompt.group);
    planned.refusal = refusals_.number_of(geometry_refusal(planned));
    planned.text_hash = xxh3(prompt.text);
    plan_.prompts.push_back(planned);
    plan_.prompt_ids.add(prompt.id);
    plan_.tokens.add(encoded.encoding.ids);
    if (keep_texts_) plan_.texts.add(prompt.text);
  }
}

std::string PromptPlanner::geometry_refusal(const PlannedPrompt& prompt) const {
  const std::int64_t n = prompt.n_tokens, n_window = n - prompt.tokens_after_window;
  if (n == 0) return "the prompt is empty";
  if (n > model_.max_length())
    return "the prompt of " + std::to_string(n) + " tokens exceeds the model's " +
           std::to_string(model_.max_length()) + " positions";
  if (n_window < config_.window)
    return "the prompt has " + std::to_string(n_window) + " tokens" +
           (n_window < n ? " up to the user's last" : "") + ", fewer than the window of " +
           std::to_string(config_.window);
  return "";
}

}  // namespace rvsweep
