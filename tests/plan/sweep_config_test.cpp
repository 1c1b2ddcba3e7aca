#include "rvsweep/plan/sweep_config.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

ConfigValues with(const std::string& key, const std::string& text) {
  ConfigValues values{{"model.path", {{"models/m", "a.cfg:1"}}},
                      {"prompts.file", {{"p", "a.cfg:2"}}}};
  if (!key.empty()) values[key] = {{text, "job.cfg:7"}};
  return values;
}

SweepConfig parsed(const std::string& key, const std::string& text) {
  return parse_sweep_config(with(key, text));
}

TEST(SweepConfig, HasTheDefaultsOfTheContract) {
  const SweepConfig config = parsed("", "");
  EXPECT_EQ(config.model_path, "models/m");
  EXPECT_EQ(config.prompts_file, "p");
  EXPECT_EQ(config.early_layer.text, "12.5%");
  EXPECT_EQ(config.late_layer.text, "75%");
  EXPECT_EQ(config.window, 16);
  EXPECT_EQ(config.generation.max_new_tokens, 50);
  EXPECT_EQ(config.generation.temperature, 0.7);
  EXPECT_EQ(config.generation.top_k, 0);
  EXPECT_EQ(config.generation.top_p, 1.0);
  EXPECT_EQ(config.generation.samples, 1);
  EXPECT_TRUE(config.generation.stop_at_eos);
  EXPECT_EQ(config.device, "auto");
  EXPECT_EQ(config.dtype, "auto");
  EXPECT_FALSE(config.threads);
  EXPECT_TRUE(config.readouts.spectra_prompt);
  EXPECT_TRUE(config.readouts.spectra_generated);
  EXPECT_TRUE(config.readouts.keywords);
  EXPECT_FALSE(config.readouts.reencode);
  EXPECT_FALSE(config.readouts.copying);
  EXPECT_EQ(config.readouts.families, "builtin");
  EXPECT_EQ(config.seed, 1u);
  EXPECT_FALSE(config.bundle_rows);
  EXPECT_TRUE(config.arms.empty());
}

TEST(SweepConfig, PairsABankByGroups) {
  EXPECT_EQ(parsed("", "").pairing.kind, PairingKind::listed);
  ConfigValues values = with("prompts.pairing", "random:12");
  values["prompts.source_groups"] = {{"rec_a, rec_b*", "job.cfg:8"}};
  values["prompts.base_groups"] = {{"*", "job.cfg:9"}};
  values["prompts.pairs"] = {{"100", "job.cfg:10"}};
  const Pairing pairing = parse_sweep_config(values).pairing;
  EXPECT_EQ(pairing.kind, PairingKind::random);
  EXPECT_EQ(pairing.bases_per_source, 12);
  EXPECT_EQ(pairing.pairs, 100);
  EXPECT_EQ(pairing.sources.names, (std::vector<std::string>{"rec_a", "rec_b*"}));
  EXPECT_EQ(pairing.sources.where, "job.cfg:8");
  EXPECT_EQ(pairing.bases.names, std::vector<std::string>{"*"});
  values["prompts.pairing"] = {{"length_matched", "job.cfg:7"}};
  EXPECT_EQ(parse_sweep_config(values).pairing.kind, PairingKind::length_matched);
  values.erase("prompts.source_groups");
  EXPECT_TRUE(says(refusal_message([&] { parse_sweep_config(values); }),
                   {"job.cfg:7: ", "prompts.source_groups"}));
  for (const char* wrong : {"matched", "random", "random:", "random:0", "random:1.5", "cross:3"})
    EXPECT_TRUE(says(refusal_message([&] { parsed("prompts.pairing", wrong); }), {"job.cfg:7: "}))
        << wrong;
  EXPECT_TRUE(says(refusal_message([&] { parsed("prompts.base_groups", "a"); }),
                   {"job.cfg:7: ", "listed"}));
  EXPECT_TRUE(says(refusal_message([&] { parsed("prompts.pairs", "5"); }), {"job.cfg:7: "}));
}

TEST(SweepConfig, AWindowEndsAtTheUsersTextOnlyInATemplate) {
  ConfigValues values = with("model.window_end", "user_end");
  EXPECT_THROW(parse_sweep_config(values), InputError);
  values["prompts.template"] = {{"chatml", "job.cfg:8"}};
  EXPECT_EQ(parse_sweep_config(values).window_end, WindowEnd::user_end);
  EXPECT_EQ(parsed("prompts.template", "llama3").chat_template, "llama3");
  EXPECT_EQ(parsed("prompts.template", "llama3").window_end, WindowEnd::last_token);
  EXPECT_THROW(parsed("prompts.template", "jinja"), InputError);
}

TEST(SweepConfig, TakesWhatIsWritten) {
  EXPECT_EQ(parsed("model.early_layer", "3").early_layer.text, "3");
  EXPECT_EQ(parsed("model.early_layer", "3").early_layer.where, "job.cfg:7");
  EXPECT_EQ(parsed("model.late_layer", "50%").late_layer.text, "50%");
  EXPECT_EQ(parsed("model.window", "2").window, 2);
  EXPECT_EQ(parsed("generation.max_new_tokens", "1").generation.max_new_tokens, 1);
  EXPECT_EQ(parsed("generation.temperature", "0").generation.temperature, 0.0);
  EXPECT_EQ(parsed("generation.temperature", "1.25").generation.temperature, 1.25);
  EXPECT_EQ(parsed("generation.top_k", "40").generation.top_k, 40);
  EXPECT_EQ(parsed("generation.top_p", "0.9").generation.top_p, 0.9);
  EXPECT_EQ(parsed("generation.samples", "3").generation.samples, 3);
  EXPECT_FALSE(parsed("generation.stop_at_eos", "false").generation.stop_at_eos);
  EXPECT_EQ(parsed("run.device", "cuda").device, "cuda");
  EXPECT_EQ(parsed("run.dtype", "bfloat16").dtype, "bfloat16");
  EXPECT_EQ(parsed("run.dtype", "float16").dtype, "float16");
  EXPECT_EQ(parsed("run.threads", "4").threads, 4);
  EXPECT_EQ(parsed("run.device_memory", "80GB").device_memory, 80e9);
  EXPECT_EQ(parsed("run.device_memory", "auto").device_memory, 0);
  EXPECT_FALSE(parsed("readouts.spectra_prompt", "false").readouts.spectra_prompt);
  EXPECT_EQ(parsed("readouts.spectra_sites", "k_proj, resid_pre").readouts.spectra_sites,
            (std::vector{Site::k, Site::resid_pre}));
  EXPECT_FALSE(parsed("readouts.spectra_generated", "false").readouts.spectra_generated);
  EXPECT_FALSE(parsed("readouts.keywords", "false").readouts.keywords);
  EXPECT_TRUE(parsed("readouts.reencode", "true").readouts.reencode);
  EXPECT_TRUE(parsed("readouts.copying", "true").readouts.copying);
  EXPECT_EQ(parsed("readouts.families", "mine.json").readouts.families, "mine.json");
  EXPECT_EQ(parsed("sweep.seed", "18446744073709551615").seed, 18446744073709551615u);
  EXPECT_EQ(parsed("sweep.bundle_rows", "8").bundle_rows, 8);
  EXPECT_EQ(parsed("sweep.bundle_rows", "1024").bundle_rows, 1024);
}

TEST(SweepConfig, MeasuresSeveralWindowsOfWhichTheFirstIsTheSweeps) {
  EXPECT_TRUE(parsed("", "").windows.empty());
  const SweepConfig config = parsed("model.window", "16, 8,32");
  EXPECT_EQ(config.window, 16);
  EXPECT_EQ(config.windows, (std::vector<std::int64_t>{16, 8, 32}));
}

TEST(SweepConfig, HoldsWhatTheStudyRegisters) {
  EXPECT_EQ(parsed("", "").study.primary.text, "");
  EXPECT_EQ(parsed("", "").study.margin_unit, "d_z");
  EXPECT_EQ(parsed("", "").study.margin, 0.2);
  EXPECT_EQ(parsed("study.primary", "kl_first").study.primary.where, "job.cfg:7");
  EXPECT_EQ(parsed("study.title", "Layers, again").study.title, "Layers, again");
  EXPECT_EQ(parsed("study.margin", "gap:0.1").study.margin_unit, "gap");
  EXPECT_EQ(parsed("study.margin", "gap:0.1").study.margin, 0.1);
}

TEST(SweepConfig, KeepsArmLinesInOrderWithTheirPlaces) {
  auto values = with("", "");
  values["sweep.arm"] = {{"base", "job.cfg:3"}, {"v_proj layers=4", "job.cfg:4"}};
  const auto arms = parse_sweep_config(values).arms;
  ASSERT_EQ(arms.size(), 2u);
  EXPECT_EQ(arms[0].text, "base");
  EXPECT_EQ(arms[1].text, "v_proj layers=4");
  EXPECT_EQ(arms[1].where, "job.cfg:4");
}

TEST(SweepConfig, HoldsTheMergedConfigurationAsText) {
  const auto values = with("sweep.seed", "9");
  EXPECT_EQ(config_text(parse_sweep_config(values).lines), dump_config(values));
}

struct BadValue {
  std::string key, text, advice;
};

class RefusedValue : public ::testing::TestWithParam<BadValue> {};

TEST_P(RefusedValue, IsNamedWithItsPlaceAndWhatMayStandThere) {
  const BadValue& bad = GetParam();
  EXPECT_TRUE(says(refusal_message([&] { parsed(bad.key, bad.text); }),
                   {"job.cfg:7", bad.key, "\"" + bad.text + "\"", bad.advice}));
}

INSTANTIATE_TEST_SUITE_P(
    EveryKey, RefusedValue,
    ::testing::Values(
        BadValue{"model.window", "1", "2 to"}, BadValue{"model.window", "-3", "2 to"},
        BadValue{"model.window", "8.5", "2 to"}, BadValue{"model.window", "wide", "2 to"},
        BadValue{"model.window", "", "2 to"}, BadValue{"model.window", "16 tokens", "2 to"},
        BadValue{"model.window", "99999999999999999999", "2 to"},
        BadValue{"model.window", "16,16", "twice"}, BadValue{"study.margin", "0.2", "d_z:0.2"},
        BadValue{"study.margin", "d_z:0", "d_z:0.2"},
        BadValue{"study.margin", "d_z:inf", "d_z:0.2"},
        BadValue{"study.margin", "nats:0.2", "d_z:0.2"}, BadValue{"study.family", "all", "arms"},
        BadValue{"prompts.pairing", "crossed", "listed"},
        BadValue{"prompts.template", "chat", "none"},
        BadValue{"generation.max_new_tokens", "-1", "0 to"},
        BadValue{"generation.temperature", "-0.1", "0 to 100"},
        BadValue{"generation.temperature", "nan", "0 to 100"},
        BadValue{"generation.temperature", "inf", "0 to 100"},
        BadValue{"generation.temperature", "0,7", "0 to 100"},
        BadValue{"generation.top_k", "-1", "0 to"}, BadValue{"generation.top_p", "0", "above 0"},
        BadValue{"generation.top_p", "1.01", "0 to 1"}, BadValue{"generation.samples", "0", "1 to"},
        BadValue{"generation.samples", "4294967297", "1 to"},
        BadValue{"generation.stop_at_eos", "yes", "true, false"},
        BadValue{"run.device", "gpu", "auto, cpu, cuda"},
        BadValue{"run.dtype", "fp32", "auto, float32, bfloat16, float16"},
        BadValue{"run.threads", "0", "1 to"}, BadValue{"run.threads", "all", "1 to"},
        BadValue{"run.device_memory", "80", "80GB"}, BadValue{"run.device_memory", "-1GB", "80GB"},
        BadValue{"readouts.spectra_prompt", "1", "true, false"},
        BadValue{"readouts.spectra_generated", "on", "true, false"},
        BadValue{"readouts.keywords", "True", "true, false"},
        BadValue{"readouts.malformed", "yes", "true, false"},
        BadValue{"readouts.spectra_sites", "resid", "resid_pre, q_proj, k_proj"},
        BadValue{"readouts.spectra_sites", "z,", "resid_pre, q_proj, k_proj"},
        BadValue{"readouts.spectra_sites", "z, z", "twice"},
        BadValue{"readouts.reencode", "", "true, false"},
        BadValue{"sweep.seed", "-1", "0 to 18446744073709551615"},
        BadValue{"sweep.seed", "18446744073709551616", "0 to 18446744073709551615"},
        BadValue{"sweep.bundle_rows", "7", "8 to 1024"},
        BadValue{"sweep.bundle_rows", "1025", "8 to 1024"},
        BadValue{"sweep.bundle_rows", "automatic", "8 to 1024"}));

}  // namespace
}  // namespace rvsweep
