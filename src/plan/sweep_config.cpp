#include "rvsweep/plan/sweep_config.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

/// The value of a key: as written, or its default.
class Values {
 public:
  explicit Values(const ConfigValues& values) : values_(values) {}

  ConfigValue text(const std::string& name) const {
    if (const auto found = values_.find(name); found != values_.end()) return found->second.back();
    const auto& keys = config_keys();
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& k) { return k.name == name; });
    RVSWEEP_EXPECT(key != keys.end(), "config_keys lists every key");
    return {key->default_value, "default"};
  }

  template <class T>
  T number(const std::string& name, T least, T most) const {
    const ConfigValue value = text(name);
    T result{};
    const char* end = value.text.data() + value.text.size();
    const auto [rest, error] = std::from_chars(value.text.data(), end, result);
    if (error != std::errc() || rest != end || !(result >= least && result <= most))
      refuse(name, value, "must be a number from " + show(least) + " to " + show(most));
    return result;
  }

  bool yes_or_no(const std::string& name) const {
    return choice(name, {"true", "false"}) == "true";
  }

  std::string choice(const std::string& name, const std::vector<std::string>& choices) const {
    const ConfigValue value = text(name);
    if (std::find(choices.begin(), choices.end(), value.text) == choices.end()) {
      std::string list;
      for (const auto& c : choices) list += (list.empty() ? "" : ", ") + c;
      refuse(name, value, "must be one of " + list);
    }
    return value.text;
  }

  [[noreturn]] static void refuse(const std::string& name, const ConfigValue& value,
                                  const std::string& advice) {
    throw InputError(value.where, name + " is \"" + value.text + "\"", advice);
  }

 private:
  template <class T>
  static std::string show(T value) {
    std::string text = std::to_string(value);
    if (text.find('.') != std::string::npos) text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  }

  const ConfigValues& values_;
};

}  // namespace

SweepConfig parse_sweep_config(const ConfigValues& written) {
  const Values values(written);
  SweepConfig config;
  config.model_path = values.text("model.path").text;
  if (values.text("model.random_weights").text != "none")
    config.random_weights = values.number<std::uint64_t>("model.random_weights", 0, UINT64_MAX);
  config.early_layer = values.text("model.early_layer");
  config.late_layer = values.text("model.late_layer");
  config.window = values.number<std::int64_t>("model.window", 2, 4096);
  config.prompts_file = values.text("prompts.file").text;
  values.choice("prompts.pairing", {"listed"});
  values.choice("prompts.template", {"none"});
  auto& generation = config.generation;
  generation.max_new_tokens = values.number<std::int64_t>("generation.max_new_tokens", 0, 100000);
  generation.temperature = values.number<double>("generation.temperature", 0.0, 100.0);
  generation.top_k = values.number<std::int64_t>("generation.top_k", 0, 10000000);
  generation.top_p = values.number<double>("generation.top_p", 0.0, 1.0);
  if (generation.top_p == 0.0)
    Values::refuse("generation.top_p", values.text("generation.top_p"), "must be above 0");
  generation.samples = values.number<std::int32_t>("generation.samples", 1, 1000000);
  generation.stop_at_eos = values.yes_or_no("generation.stop_at_eos");
  config.device = values.choice("run.device", {"auto", "cpu", "cuda"});
  config.dtype = values.choice("run.dtype", {"auto", "float32", "bfloat16", "float16"});
  if (values.text("run.threads").text != "auto")
    config.threads = values.number<int>("run.threads", 1, 1024);
  config.readouts.spectra_prompt = values.yes_or_no("readouts.spectra_prompt");
  config.readouts.spectra_generated = values.yes_or_no("readouts.spectra_generated");
  config.readouts.keywords = values.yes_or_no("readouts.keywords");
  config.readouts.first_token = values.yes_or_no("readouts.first_token");
  config.readouts.reencode = values.yes_or_no("readouts.reencode");
  config.readouts.copying = values.yes_or_no("readouts.copying");
  config.readouts.families = values.text("readouts.families").text;
  config.readouts.forced = values.yes_or_no("readouts.forced");
  config.readouts.step_trace = values.yes_or_no("readouts.step_trace");
  config.readouts.logit_lens = values.text("readouts.logit_lens");
  config.token_sets = values.text("readouts.token_sets").text;
  config.filler = values.text("prompts.filler").text;
  config.seed = values.number<std::uint64_t>("sweep.seed", 0, UINT64_MAX);
  if (values.text("sweep.bundle_rows").text != "auto")
    config.bundle_rows = values.number<std::int64_t>("sweep.bundle_rows", 8, 1024);
  if (const auto arms = written.find("sweep.arm"); arms != written.end())
    config.arms = arms->second;
  if (const auto controls = written.find("sweep.control"); controls != written.end())
    config.controls = controls->second;
  config.text = dump_config(written);
  return config;
}

}  // namespace rvsweep
