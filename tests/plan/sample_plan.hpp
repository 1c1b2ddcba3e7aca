#pragma once
// Small sweeps whose prompts are as long as their texts: one token per byte.
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/plan/plan.hpp"
#include "rvsweep/text/named_spans.hpp"
#include "support/sample_model_config.hpp"

namespace rvsweep {

inline ModelConfig sample_model(std::int64_t max_positions = 1024) {
  ModelConfig model = testing::sample_model_config(8);
  model.vocab_size = 300;
  model.max_positions = max_positions;
  return model;
}

inline SweepConfig sample_config(const std::vector<std::string>& arms, std::int32_t samples = 1) {
  SweepConfig config;
  config.early_layer = {"1", "job.cfg:1"};
  config.late_layer = {"75%", "job.cfg:2"};
  config.generation.max_new_tokens = 20;
  config.generation.samples = samples;
  config.bundle_rows = 16;
  for (const auto& arm : arms)
    config.arms.push_back({arm, "job.cfg:" + std::to_string(10 + config.arms.size())});
  return config;
}

inline std::vector<std::int32_t> bytes_as_tokens(const std::string& text) {
  return {text.begin(), text.end()};
}

/// One token per byte; the words of any list are the letters k; the filler is 400 tokens.
inline PlanText sample_text() {
  PlanText text;
  text.encode = bytes_as_tokens;
  text.encode_prompt = [](const Prompt& prompt) {
    PromptEncoding encoded;
    encoded.encoding.ids = bytes_as_tokens(prompt.opening + prompt.text);
    return encoded;
  };
  text.keyword_tokens = [](const std::set<std::string>&, const Prompt& prompt) {
    std::vector<std::int32_t> tokens;
    for (std::int32_t i = 0; i < std::ssize(prompt.text); ++i)
      if (prompt.text[i] == 'k') tokens.push_back(i);
    return tokens;
  };
  text.span_tokens = [](const std::string& name, const Prompt& prompt) {
    std::vector<Span> tokens;
    for (std::size_t i = 0; i < prompt.text.size(); ++i) tokens.push_back({i, i + 1});
    return span_tokens(prompt.spans, name, prompt.text, tokens);
  };
  text.filler = std::string(400, 'f');
  return text;
}

/// A plan of prompts that are there already, with their texts.
inline Plan make_plan(const SweepConfig& config, const ModelConfig& model, PromptSet prompts,
                      const PlanText& text, const std::string& device, const std::string& dtype,
                      const Plan* before = nullptr) {
  const PromptSource source = [&](const PromptSink& sink) {
    for (Prompt& prompt : prompts.prompts) sink(std::move(prompt));
    return std::move(prompts.pairs);
  };
  return make_plan({config, model, source, text, device, dtype, Texts::kept, before});
}

/// Pairs of (source, base) texts; equal texts are one prompt, as read_prompts makes them.
inline PromptSet prompt_set(const std::vector<std::pair<std::string, std::string>>& texts) {
  PromptSet set;
  const auto index_of = [&](const std::string& id, const std::string& text) {
    for (std::size_t i = 0; i < set.prompts.size(); ++i)
      if (set.prompts[i].text == text) return PromptIndex(static_cast<std::int32_t>(i));
    set.prompts.push_back({id, text, "any"});
    return PromptIndex(static_cast<std::int32_t>(set.prompts.size() - 1));
  };
  for (const auto& [source, base] : texts) {
    const std::string id = "pair-" + std::to_string(set.pairs.size());
    const PromptIndex s = index_of(id + "/source", source), b = index_of(id + "/base", base);
    set.pairs.push_back({id, s, b, {{source}, {base, id}}});
  }
  return set;
}

/// A plan with its bundles as ranks get them.
struct SamplePlan : Plan {
  SamplePlan() = default;
  explicit SamplePlan(Plan plan) : Plan(std::move(plan)) {
    for (const PlannedBundle& planned : Plan::bundles)
      bundles.push_back(complete_bundle(*this, planned.id));
  }
  std::vector<Bundle> bundles;
};

inline SamplePlan sample_plan(const SweepConfig& config, const PromptSet& prompts,
                              const ModelConfig& model = sample_model()) {
  return SamplePlan(make_plan(config, model, prompts, sample_text(), "cpu", "float32"));
}

}  // namespace rvsweep
