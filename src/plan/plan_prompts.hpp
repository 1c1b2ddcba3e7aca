#pragma once
// The prompts of a sweep, tokenised by threads while more of them are read.
#include <cstdint>
#include <future>
#include <span>
#include <vector>

#include "plan/numbered_texts.hpp"
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

class PromptPlanner {
 public:
  /// Fills what `plan` says of its prompts; their texts too where `keep_texts`. The arguments must
  /// outlive the object.
  PromptPlanner(Plan& plan, const PlanText& text, const SweepConfig& config,
                const ModelConfig& model, bool keep_texts);

  /// The next prompt in plan order. Throws what text.encode_prompt throws, of an earlier one too.
  void add(Prompt prompt);
  /// To be called after the last: until then the plan lacks some.
  void finish();

 private:
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

  void start();
  void append(Block block);
  void append(const Prompt& prompt, std::span<const std::int32_t> ids, std::int32_t after_user);
  std::string geometry_refusal(const PlannedPrompt& prompt) const;

  Plan& plan_;
  const PlanText& text_;
  const SweepConfig& config_;
  const ModelConfig& model_;
  bool keep_texts_;
  NumberedTexts groups_, refusals_;
  std::vector<Prompt> collected_;
  Block running_;
};

}  // namespace rvsweep
