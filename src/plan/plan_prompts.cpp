#include "plan/plan_prompts.hpp"

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
  append(std::exchange(running_, {}));
}

/// Appends the block that is being encoded to the plan; the collected prompts are encoded
/// meanwhile.
void PromptPlanner::start() {
  Block done = std::exchange(running_, {});
  running_.prompts = std::exchange(collected_, {});
  const std::span<const Prompt> prompts = running_.prompts;
  const auto threads = static_cast<std::size_t>(text_.threads);
  const std::size_t share = (prompts.size() + threads - 1) / threads;
  for (std::size_t begin = 0; begin < prompts.size(); begin += share)
    running_.shares.push_back(std::async(
        std::launch::async,
        [encode = &text_.encode_prompt,
         prompts = prompts.subspan(begin, std::min(share, prompts.size() - begin))] {
          Encoded encoded;
          encoded.prompts.reserve(prompts.size());
          for (const Prompt& prompt : prompts) {
            const PromptEncoding one =
                prompt.text.empty() ? PromptEncoding{} : (*encode)(prompt.text);
            encoded.prompts.push_back({static_cast<std::int32_t>(one.encoding.ids.size()),
                                       static_cast<std::int32_t>(one.tokens_after_user)});
            encoded.ids.insert(encoded.ids.end(), one.encoding.ids.begin(), one.encoding.ids.end());
          }
          return encoded;
        }));
  append(std::move(done));
}

void PromptPlanner::append(Block block) {
  auto prompt = block.prompts.cbegin();
  for (auto& share : block.shares) {
    const Encoded encoded = share.get();
    std::span<const std::int32_t> ids = encoded.ids;
    for (const auto& [n_tokens, after_user] : encoded.prompts) {
      append(*prompt++, ids.first(n_tokens), after_user);
      ids = ids.subspan(n_tokens);
    }
  }
}

void PromptPlanner::append(const Prompt& prompt, std::span<const std::int32_t> ids,
                           std::int32_t after_user) {
  PlannedPrompt planned;
  planned.number = PromptIndex(static_cast<std::int32_t>(plan_.prompts.size()));
  planned.n_tokens = static_cast<std::int32_t>(ids.size());
  if (config_.window_end == WindowEnd::user_end) planned.tokens_after_window = after_user;
  planned.group = groups_.number_of(prompt.group);
  planned.refusal = refusals_.number_of(geometry_refusal(planned));
  planned.text_hash = xxh3(prompt.text);
  plan_.prompts.push_back(planned);
  plan_.prompt_ids.add(prompt.id);
  plan_.tokens.add(ids);
  if (keep_texts_) plan_.texts.add(prompt.text);
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
