#include "plan/plan_prompts.hpp"

#include <algorithm>
#include <future>
#include <span>
#include <utility>

#include "plan/numbered_texts.hpp"

namespace rvsweep {
namespace {

/// Encoded together: enough for the threads' start to cost nothing, few enough to hold.
constexpr std::size_t block_prompts = 4096;

/// Consecutive prompts as the model reads them. Few pieces of memory: the thread that frees them
/// is not the one that allocated them, and the two would wait for each other.
struct Encoded {
  struct Lengths {
    std::int32_t n_tokens = 0;
    std::int32_t after_user = 0;  // of them, see PromptEncoding
  };
  std::vector<Lengths> prompts;
  std::vector<std::int32_t> ids;  // of all of them, one after the other
};

struct Block {
  std::vector<Prompt> prompts;
  std::vector<std::future<Encoded>> shares;  // the last member: waited for before the others go
};

Encoded encode(std::span<const Prompt> prompts, const PlanText& text) {
  Encoded encoded;
  encoded.prompts.reserve(prompts.size());
  for (const Prompt& prompt : prompts) {
    const PromptEncoding one = prompt.text.empty() ? PromptEncoding{} : text.encode_prompt(prompt);
    encoded.prompts.push_back({static_cast<std::int32_t>(one.encoding.ids.size()),
                               static_cast<std::int32_t>(one.tokens_after_user)});
    encoded.ids.insert(encoded.ids.end(), one.encoding.ids.begin(), one.encoding.ids.end());
  }
  return encoded;
}

/// A block that threads begin to encode.
Block begin_to_encode(std::vector<Prompt> prompts, const PlanText& text) {
  Block block{std::move(prompts), {}};
  const std::span<const Prompt> all = block.prompts;
  const auto threads = static_cast<std::size_t>(text.threads);
  const std::size_t share = (all.size() + threads - 1) / threads;
  for (std::size_t begin = 0; begin < all.size(); begin += share)
    block.shares.push_back(std::async(std::launch::async, encode,
                                      all.subspan(begin, std::min(share, all.size() - begin)),
                                      std::cref(text)));
  return block;
}

std::string geometry_refusal(const PlannedPrompt& prompt, const PlanInput& input) {
  const std::int64_t n = prompt.n_tokens, n_window = n - prompt.tokens_after_window;
  if (n == 0) return "the prompt is empty";
  if (n > input.model.max_positions)
    return "the prompt of " + std::to_string(n) + " tokens exceeds the model's " +
           positions_text(input.model);
  if (n_window < input.config.window)
    return "the prompt has " + std::to_string(n_window) + " tokens" +
           (n_window < n ? " up to the user's last" : "") + ", fewer than the window of " +
           std::to_string(input.config.window);
  return "";
}

}  // namespace

void plan_prompts(const PlanInput& input, bool keep_texts, Plan& plan) {
  NumberedTexts groups(plan.groups), clusters(plan.clusters), refusals(plan.refusals);
  const auto append = [&](Block block) {
    auto prompt = block.prompts.cbegin();
    for (auto& share : block.shares) {
      const Encoded encoded = share.get();
      std::span<const std::int32_t> ids = encoded.ids;
      for (const auto& [n_tokens, after_user] : encoded.prompts) {
        PlannedPrompt planned;
        planned.number = PromptIndex(static_cast<std::int32_t>(plan.prompts.size()));
        planned.n_tokens = n_tokens;
        if (input.config.window_end == WindowEnd::user_end)
          planned.tokens_after_window = after_user;
        planned.group = groups.number_of(prompt->group);
        planned.cluster = clusters.number_of(prompt->cluster);
        planned.refusal = refusals.number_of(geometry_refusal(planned, input));
        planned.text_hash = prompt->text_hash();
        if (!prompt->opening.empty()) plan.openings[plan.prompts.size()] = prompt->opening;
        if (!prompt->spans.empty()) plan.spans[plan.prompts.size()] = prompt->spans;
        plan.prompts.push_back(planned);
        plan.prompt_ids.add(prompt->id);
        plan.tokens.add(ids.first(n_tokens));
        if (keep_texts) plan.texts.add(prompt->text);
        ids = ids.subspan(n_tokens);
        ++prompt;
      }
    }
  };
  std::vector<Prompt> collected;
  Block running;
  // Appends the block that is being encoded; the collected prompts are encoded meanwhile.
  const auto next_block = [&] {
    Block done = std::exchange(running, begin_to_encode(std::exchange(collected, {}), input.text));
    append(std::move(done));
  };
  plan.pairs = input.prompts([&](Prompt prompt) {
    collected.push_back(std::move(prompt));
    if (collected.size() == block_prompts) next_block();
  });
  next_block();
  append(std::move(running));
}

}  // namespace rvsweep
