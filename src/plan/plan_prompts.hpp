#pragma once
// The prompts of a sweep, tokenised by threads while more of them are read.
#include <future>

#include "numbered_texts.hpp"
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
  struct Block {
    std::vector<Prompt> prompts;
    std::vector<PromptEncoding> encodings;
    std::vector<std::future<void>> shares;  // the last member: waited for before the others go
  };

  void start();
  void take_over(Block block);
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
