#include "rvsweep/sweep/identity.hpp"

#include <spdlog/fmt/fmt.h>

#include <concepts>
#include <map>
#include <set>

#include "rvsweep/core/hash.hpp"
#include "rvsweep/tokenizer/chat_template.hpp"

namespace rvsweep {
namespace {

/// Every attribute, in the order of the file.
template <class Identity, class Visit>
void visit_attributes(Identity& identity, const Visit& visit) {
  visit("schema_version", identity.schema_version);
  visit("rvsweep_version", identity.rvsweep_version);
  visit("git_commit", identity.git_commit);
  visit("config", identity.config);
  visit("model_path", identity.model_path);
  visit("model_fingerprint", identity.model_fingerprint);
  visit("tokenizer_fingerprint", identity.tokenizer_fingerprint);
  visit("tensor_fingerprints", identity.tensor_fingerprints);
  visit("prompts_fingerprint", identity.files.prompts);
  visit("n_layers", identity.n_layers);
  visit("early_layer", identity.early_layer);
  visit("late_layer", identity.late_layer);
  visit("window", identity.window);
  visit("bundle_rows", identity.bundle_rows);
  visit("device_type", identity.device);
  visit(identity.device == "cuda" ? "gpu_model" : "cpu_capability", identity.hardware);
  if (identity.device == "cuda") visit("device_memory", identity.device_memory);
  visit("dtype", identity.dtype);
  visit("threads_per_rank", identity.threads);
  visit("libtorch_version", identity.libtorch_version);
  visit("cuda_version", identity.gpu_libraries.cuda);
  visit("cublas_version", identity.gpu_libraries.cublas);
  visit("cudnn_version", identity.gpu_libraries.cudnn);
  visit("model_notes", identity.model_notes);
  visit("families_fingerprint", identity.files.families);
  visit("token_sets_fingerprint", identity.files.token_sets);
  visit("filler_fingerprint", identity.files.filler);
  visit("chat_template_fingerprint", identity.files.chat_template);
  visit("logprobs_fingerprint", identity.files.logprobs);
}

std::string text_of(const std::string& text) { return text; }
std::string text_of(std::int64_t number) { return std::to_string(number); }
std::string text_of(const ConfigLines& lines) { return config_text(lines); }

void from_text(const std::string& text, std::string& value) { value = text; }
template <std::integral Number>
void from_text(const std::string& text, Number& value) {
  value = static_cast<Number>(std::stoll(text));
}
void from_text(const std::string& text, ConfigLines& value) { value = read_config_lines(text); }

/// Facts of the launch and notes for people decide no bits, the configuration is looked at key by
/// key, and the model has one fingerprint.
bool decides_results(const std::string& attribute) {
  static const std::set<std::string> others{"git_commit", "model_path", "config",
                                            "tensor_fingerprints", "model_notes"};
  return !others.contains(attribute);
}

/// What files and folders hold is compared by its fingerprint, and [run] as it was resolved.
bool decides_results_itself(const std::string& key) {
  static const std::set<std::string> paths{"model.path",        "prompts.file",
                                           "prompts.filler",    "prompts.matched_on",
                                           "readouts.families", "readouts.token_sets"};
  return !key.starts_with("run.") && !paths.contains(key);
}

/// A chat template that a file holds is compared by what it writes, wherever the file lies.
std::string compared_value(const std::string& key, const std::string& value) {
  const bool named = value == "none" || find_chat_template(value) != nullptr;
  return key == "prompts.template" && !named ? "of a file" : value;
}

/// "section.key" -> its values.
std::map<std::string, std::string> deciding_settings(const ConfigLines& lines) {
  std::map<std::string, std::string> result;
  for (const auto& [key, value] : lines)
    if (decides_results_itself(key)) {
      std::string& values = result[key];
      values += (values.empty() ? "" : " | ") + compared_value(key, value);
    }
  return result;
}

}  // namespace

Attributes attributes_of(const SweepIdentity& identity) {
  Attributes attributes;
  visit_attributes(identity, [&](const char* name, const auto& value) {
    if (std::string text = text_of(value); !text.empty())
      attributes.emplace_back(name, std::move(text));
  });
  return attributes;
}

SweepIdentity stored_identity(const SweepFacts& facts) {
  const std::map<std::string, std::string> stored(facts.attributes.begin(), facts.attributes.end());
  SweepIdentity identity;
  visit_attributes(identity, [&](const char* name, auto& value) {
    if (const auto found = stored.find(name); found != stored.end())
      from_text(found->second, value);
  });
  return identity;
}

std::uint64_t fingerprint_of(const SweepIdentity& identity) {
  Hasher hasher;
  for (const auto& [name, text] : attributes_of(identity))
    if (decides_results(name)) hasher.update(name + "=" + text + "\n");
  for (const auto& [key, values] : deciding_settings(identity.config))
    hasher.update(key + " = " + values + "\n");
  return hasher.digest();
}

std::string Difference::text() const {
  return fmt::format("{} was \"{}\", is now \"{}\"", key, was, now);
}

std::vector<Difference> differences(const SweepIdentity& stored, const SweepIdentity& asked) {
  std::vector<Difference> result;
  const auto compare = [&](const std::string& key, const std::string& was, const std::string& now) {
    if (was != now) result.push_back({key, was, now});
  };
  auto was = deciding_settings(stored.config), now = deciding_settings(asked.config);
  std::set<std::string> keys;
  for (const auto& settings : {was, now})
    for (const auto& [key, values] : settings) keys.insert(key);
  for (const auto& key : keys) compare(key, was[key], now[key]);
  const auto attributes = attributes_of(stored);
  std::map<std::string, std::string> before(attributes.begin(), attributes.end());
  for (const auto& [name, text] : attributes_of(asked))
    if (decides_results(name)) compare(name, before[name], text);
  return result;
}

}  // namespace rvsweep
