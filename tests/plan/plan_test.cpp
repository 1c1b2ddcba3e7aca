#include "rvsweep/plan/plan.hpp"

#include <gtest/gtest.h>

#include "plan/sample_plan.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/wire.hpp"
#include "rvsweep/plan/memory_budget.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

std::string text(std::int64_t n, char letter = 'x') {
  return std::string(static_cast<std::size_t>(n), letter);
}

/// The bundle that holds a row, and the row in it.
struct Place {
  const Bundle& bundle;
  const BundleRow& row;
  const BundleContext& base() const { return bundle.contexts.at(row.base); }
  const BundleContext& donor() const { return bundle.contexts.at(row.donors.at(0).index); }
};

Place place_of(const SamplePlan& plan, std::int64_t row) {
  for (const Bundle& bundle : plan.bundles)
    for (const BundleRow& candidate : bundle.rows)
      if (candidate.row == RowIndex(row)) return {bundle, candidate};
  throw std::runtime_error("no bundle holds row " + std::to_string(row));
}

TEST(MakePlan, LaysRowsOutPairByPairArmByArmSampleBySample) {
  const auto plan = sample_plan(sample_config({"base", "source", "kv_cache layers=4:8"}, 2),
                                prompt_set({{text(20, 'a'), text(30, 'b')}, {text(25), text(17)}}));
  ASSERT_EQ(plan.rows.size(), 2u * 3u * 2u);
  std::size_t i = 0;
  for (std::int32_t pair = 0; pair < 2; ++pair)
    for (std::int32_t arm = 0; arm < 3; ++arm)
      for (std::int32_t sample = 0; sample < 2; ++sample, ++i) {
        EXPECT_EQ(plan.rows[i].pair, PairIndex(pair));
        EXPECT_EQ(plan.rows[i].arm, ArmIndex(arm));
        EXPECT_EQ(plan.rows[i].sample, sample);
        EXPECT_EQ(plan.refusal(plan.rows[i]), "");
        EXPECT_EQ(plan.rows[i].id.value,
                  xxh3_fields({"pair-" + std::to_string(pair), plan.arms[arm].canonical(),
                               std::to_string(sample)}));
      }
}

TEST(MakePlan, ResolvesTheLayersOfRV) {
  const auto plan = sample_plan(sample_config({}), prompt_set({}));
  EXPECT_EQ(plan.early_layer, 1);
  EXPECT_EQ(plan.late_layer, 6);
}

TEST(MakePlan, PairsOfABundleShareTheirPrompts) {
  std::vector<std::pair<std::string, std::string>> cross;
  for (const char source : {'s', 't'})
    for (const char base : {'a', 'b', 'c', 'd'})
      cross.emplace_back(text(20, source), text(21, base));
  const auto plan = sample_plan(sample_config({"base", "kv_cache layers=4:8"}), prompt_set(cross));
  ASSERT_EQ(plan.bundles.size(), 1u);
  EXPECT_EQ(plan.bundles[0].rows.size(), 16u);
  EXPECT_EQ(plan.bundles[0].contexts.size(), 6u);
}

TEST(MakePlan, GivesEachArmItsBaseAndDonor) {
  const std::string s = text(20, 's'), b = text(30, 'b');
  const auto plan =
      sample_plan(sample_config({"base", "source", "kv_cache layers=4:8", "v_proj layers=3",
                                 "kv_cache layers=4:8 direction=base_to_source"}),
                  prompt_set({{s, b}}));
  EXPECT_EQ(place_of(plan, 0).base().text, b);
  EXPECT_TRUE(place_of(plan, 0).row.donors.empty());
  EXPECT_EQ(place_of(plan, 1).base().text, s);
  EXPECT_TRUE(place_of(plan, 1).row.donors.empty());
  for (const std::int64_t row : {2, 3}) {
    EXPECT_EQ(place_of(plan, row).base().text, b);
    EXPECT_EQ(place_of(plan, row).donor().text, s);
  }
  EXPECT_EQ(place_of(plan, 4).base().text, s);
  EXPECT_EQ(place_of(plan, 4).donor().text, b);
}

TEST(MakePlan, CutsPromptsForPresetsOnly) {
  const std::string s = text(700, 's'), b = text(600, 'b');
  const auto plan =
      sample_plan(sample_config({"base", "kv_cache layers=4:8", "preset:notebook_c_v1 layers=4:8"}),
                  prompt_set({{s, b}}));
  EXPECT_EQ(place_of(plan, 0).base().tokens, bytes_as_tokens(b));
  EXPECT_EQ(place_of(plan, 1).donor().tokens, bytes_as_tokens(s));
  EXPECT_EQ(place_of(plan, 2).base().tokens, bytes_as_tokens(text(512, 'b')));
  EXPECT_EQ(place_of(plan, 2).donor().tokens, bytes_as_tokens(text(512, 's')));
  EXPECT_FALSE(place_of(plan, 2).base().records_prompt);
}

TEST(MakePlan, SharesTheContextOfAPromptThatNeedsNoCut) {
  const auto plan =
      sample_plan(sample_config({"base", "source", "preset:notebook_c_v1 layers=4:8"}),
                  prompt_set({{text(512, 's'), text(40, 'b')}}));
  ASSERT_EQ(plan.bundles.size(), 1u);
  EXPECT_EQ(plan.bundles[0].contexts.size(), 2u);
}

// A prompt beyond the model's positions runs where an arm cuts it.
TEST(MakePlan, MakesRoomForACutPromptThatIsTooLongAsAWhole) {
  const auto plan = sample_plan(sample_config({"base", "preset:notebook_c_v2 layers=4:8"}),
                                prompt_set({{text(2000, 's'), text(1500, 'b')}}));
  EXPECT_NE(plan.refusal(plan.rows[0]), "");
  ASSERT_EQ(plan.refusal(plan.rows[1]), "");
  const Place place = place_of(plan, 1);
  EXPECT_EQ(place.base().tokens.size(), 512u);
  EXPECT_GE(place.bundle.shape.prompt_length, 512);
}

TEST(MakePlan, StatesAreComparedWithSomeOfThePromptsHoweverTheyAreListed) {
  auto config = sample_config({"base"});
  std::vector<std::pair<std::string, std::string>> pairs;
  for (int i = 0; i < 200; ++i)
    pairs.push_back({text(30, 's') + std::to_string(i), text(20, 'b') + std::to_string(i)});
  pairs[7].first = pairs[8].second;  // a text that two prompts have
  pairs[9].first = text(2000, 's');  // beyond the model's positions
  const auto compared = [&] { return sample_plan(config, prompt_set(pairs)).natural_prompts; };
  EXPECT_TRUE(compared().empty());
  config.readouts.state_distance = {"true", "test"};
  const auto some = compared();
  EXPECT_EQ(some.size(), 256u);
  EXPECT_EQ(std::set(some.begin(), some.end()).size(), 256u);
  std::ranges::reverse(pairs);
  EXPECT_EQ(compared(), some);
  pairs.resize(3);
  EXPECT_EQ(compared().size(), 6u);
}

TEST(MakePlan, PutsPairsOfLikeLengthTogether) {
  const auto plan =
      sample_plan(sample_config({"base", "source"}), prompt_set({{text(20, 'a'), text(30, 'a')},
                                                                 {text(90, 'b'), text(105, 'b')},
                                                                 {text(31, 'c'), text(17, 'c')},
                                                                 {text(112, 'd'), text(30, 'd')}}));
  ASSERT_EQ(plan.bundles.size(), 2u);
  EXPECT_EQ(plan.bundles[0].shape.prompt_length, 32);
  EXPECT_EQ(plan.bundles[0].rows.size(), 4u);
  EXPECT_EQ(plan.bundles[1].shape.prompt_length, 112);
  EXPECT_EQ(place_of(plan, 4).bundle.id, BundleId(0));
  EXPECT_EQ(place_of(plan, 6).bundle.id, BundleId(1));
}

// Rows read the bases alone: of the sources the cells of a window stay.
TEST(MakePlan, LongPromptsHaveSlotsOfTheirOwnAndNothingIsPadded) {
  auto config = sample_config({"base"});
  config.readouts.first_token = config.readouts.forced = false;
  const auto plan = sample_plan(
      config, prompt_set({{text(3, 's'), text(900, 'b')}, {text(950, 't'), text(1000, 'c')}}));
  ASSERT_EQ(plan.bundles.size(), 1u);
  const Bundle& bundle = plan.bundles[0];
  EXPECT_EQ(bundle.shape.contexts, 4);
  EXPECT_EQ(bundle.shape.rows, 2);
  EXPECT_EQ(bundle.shape.prompts_at_once, 1);
  EXPECT_EQ(slot_columns(bundle), (std::vector<std::int64_t>{16, 900, 16, 1000}));
  EXPECT_EQ(bundle.shape.slot_columns, 16 + 900 + 16 + 1000);
  EXPECT_EQ(bundle.shape.longest, 1000);
  EXPECT_EQ(bundle.shape.scratch, 950);
  // A pair of a query and a key takes 2 multiply-adds for each element of the heads.
  const double per_pair =
      2.0 * 8 * 4 * 12 * 4 / static_cast<double>(weight_bytes(sample_model(), "float32"));
  double cost = 2 * 20;
  for (const double n : {3, 900, 950, 1000}) cost += n + n * n / 2 * per_pair;
  EXPECT_NEAR(bundle.cost, cost, 0.01 * cost);
}

TEST(MakePlan, SlotsOfLongPromptsHoldTheLongestWindow) {
  auto config = sample_config({"base"});
  config.readouts.first_token = config.readouts.forced = false;
  config.windows = {16, 40};
  const auto prompts = prompt_set({{text(600, 's'), text(700, 'b')}});
  EXPECT_EQ(slot_columns(sample_plan(config, prompts).bundles.at(0)),
            (std::vector<std::int64_t>{40, 700}));
  config.windows.clear();
  config.arms.push_back({"v_proj layers=2 window=50", "job.cfg:9"});
  const auto slots =
      slot_columns(sample_plan(config, prompt_set({{text(600, 's'), text(3, 'b')}})).bundles.at(0));
  EXPECT_EQ(slots, (std::vector<std::int64_t>{50, 50}));
}

TEST(MakePlan, SlotsOfLongDonorsAreKeptWhole) {
  auto config = sample_config({"base", "kv_cache layers=4:8"});
  config.controls = {{"gaussian", "job.cfg:30"}};
  const auto plan = sample_plan(config, prompt_set({{text(600, 's'), text(700, 'b')}}));
  ASSERT_EQ(plan.bundles.size(), 1u);
  EXPECT_EQ(slot_columns(plan.bundles[0]), (std::vector<std::int64_t>{600, 700, 600}));
  EXPECT_EQ(plan.bundles[0].shape.scratch, 0);
  EXPECT_EQ(plan.bundles[0].shape.slot_columns, 1900);
}

TEST(MakePlan, ShortPromptsShareTheirColumnsAndThoseOfFewTokensTheirPadding) {
  const auto slots = [](std::size_t longest) {
    const auto pairs = prompt_set({{text(20, 'a'), text(longest, 'b')}});
    return slot_columns(sample_plan(sample_config({"base"}), pairs).bundles.at(0));
  };
  EXPECT_EQ(slots(128), std::vector<std::int64_t>(8, 128));
  EXPECT_EQ(slots(512), std::vector<std::int64_t>(2, 512));
}

TEST(MakePlan, PadsToTheWindowAtLeast) {
  auto config = sample_config({"base"});
  config.window = 41;
  const auto plan = sample_plan(config, prompt_set({{text(3, 'a'), text(2, 'b')}}));
  ASSERT_EQ(plan.bundles.size(), 1u);
  EXPECT_EQ(plan.bundles[0].shape.prompt_length, 48);
}

TEST(MakePlan, SplitsAPairThatDoesNotFitOneBundle) {
  const auto plan = sample_plan(sample_config({"base", "source", "kv_cache layers=4:8"}, 15),
                                prompt_set({{text(20, 'a'), text(30, 'b')}}));
  ASSERT_EQ(plan.bundles.size(), 3u);  // 45 rows, 16 a bundle
  EXPECT_EQ(plan.bundles[0].rows.size(), 16u);
  EXPECT_EQ(plan.bundles[2].rows.size(), 13u);
  EXPECT_EQ(plan.bundles[1].contexts.size(), 2u);
  EXPECT_FALSE(plan.bundles[1].contexts[0].records_prompt);
}

TEST(MakePlan, KeepsThePromptsAndRowsOfAPairInOneBundleWhereTheyFit) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (char letter = 'a'; letter <= 'z'; ++letter)
    texts.emplace_back(text(20, letter), text(21, letter));
  for (const std::vector<std::string>& arms : {std::vector<std::string>{"base"},
                                               {"base", "source"},
                                               {"base", "source", "kv_cache layers=4:8"}}) {
    const auto plan = sample_plan(sample_config(arms), prompt_set(texts));
    std::size_t contexts = 0;
    for (const Bundle& bundle : plan.bundles) contexts += bundle.contexts.size();
    EXPECT_EQ(contexts, 52u) << "with " << arms.size() << " arms a prompt is prefilled twice";
  }
}

TEST(MakePlan, ABundleCostsTheTokensThatReadOutsFeed) {
  const auto prompts = prompt_set({{text(20, 'a'), text(30, 'b')}});
  SweepConfig config = sample_config({"base", "source", "kv_cache layers=4:8"});
  config.generation.max_new_tokens = 10;
  config.readouts.forced = config.readouts.reencode = false;
  const BundleShape shape = sample_plan(config, prompts).bundles.at(0).shape;
  const auto cost = [&] { return sample_plan(config, prompts).bundles.at(0).cost; };
  const auto decode_only =
      static_cast<double>(shape.contexts * shape.prompt_length + 10 * shape.rows);
  EXPECT_EQ(cost(), decode_only);
  config.readouts.reencode = true;
  EXPECT_EQ(cost(), decode_only + static_cast<double>(10 * shape.rows));
  config.readouts.reencode = false;
  config.readouts.forced = true;
  EXPECT_EQ(cost(), decode_only + static_cast<double>(10 * (2 * shape.rows + 3 * shape.contexts)));
}

TEST(MakePlan, WithoutArmsMeasuresPromptsOnly) {
  const auto plan =
      sample_plan(sample_config({}),
                  prompt_set({{text(20, 'a'), text(24, 'b')}, {text(20, 'a'), text(19, 'c')}}));
  EXPECT_TRUE(plan.rows.empty());
  ASSERT_EQ(plan.bundles.size(), 1u);
  EXPECT_TRUE(plan.bundles[0].rows.empty());
  EXPECT_EQ(plan.bundles[0].shape.rows, 0);
  EXPECT_EQ(plan.bundles[0].contexts.size(), 3u);  // the source that both pairs share once
  for (const auto& context : plan.bundles[0].contexts) EXPECT_TRUE(context.records_prompt);
}

TEST(MakePlan, AnEmptyPromptHasNoTokensAndRefusesItsRows) {
  // An encoder that puts a begin-of-text token in front would make something of nothing.
  PlanText sample = sample_text();
  sample.encode_prompt = [](const Prompt& prompt) {
    PromptEncoding encoded;
    encoded.encoding.ids = {1};
    for (char c : prompt.text) encoded.encoding.ids.push_back(c);
    return encoded;
  };
  const auto plan =
      make_plan(sample_config({"base", "source", "kv_cache layers=4:8"}), sample_model(),
                prompt_set({{text(20), ""}}), sample, "cpu", "float32");
  EXPECT_EQ(plan.prompts[0].n_tokens, 21);
  EXPECT_EQ(plan.prompts[1].n_tokens, 0);
  EXPECT_TRUE(says(plan.refusal(plan.prompts[1]), {"empty"}));
  EXPECT_TRUE(says(plan.refusal(plan.rows[0]), {"the prompt is empty"}));
  EXPECT_EQ(plan.refusal(plan.rows[1]), "");
  EXPECT_TRUE(says(plan.refusal(plan.rows[2]), {"the prompt is empty"}));
  EXPECT_EQ(plan.n_refused(), 2);
}

TEST(MakePlan, SaysWhyAPromptHasNoGeometry) {
  const auto plan = sample_plan(sample_config({"base"}),
                                prompt_set({{text(15, 'a'), text(16, 'b')}, {text(200), text(20)}}),
                                sample_model(100));
  EXPECT_TRUE(says(plan.refusal(plan.prompts[0]), {"15 tokens", "window of 16"}));
  EXPECT_EQ(plan.refusal(plan.prompts[1]), "");
  EXPECT_TRUE(says(plan.refusal(plan.prompts[2]), {"200 tokens", "100 positions"}));
  EXPECT_EQ(plan.refusal(plan.prompts[3]), "");
  for (const auto& row : plan.rows) EXPECT_EQ(plan.refusal(row), "");
}

// More prompts than are encoded at a time, in threads that do not end in the order of their shares.
TEST(MakePlan, IsTheSameForAnyNumberOfThreads) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (std::int64_t i = 0; i < 2600; ++i) {
    const std::string number = std::to_string(i);
    texts.emplace_back("s" + number + text(20 + i % 50), "b" + number + text(20 + i % 7));
  }
  const auto config = sample_config({"base", "kv_cache layers=4:8"});
  PromptSet prompts;
  for (const auto& [source, base] : texts) {
    const PromptIndex at(static_cast<std::int32_t>(prompts.prompts.size()));
    prompts.prompts.push_back({source, source, "source"});
    prompts.prompts.push_back({base, base, "base"});
    prompts.pairs.push_back({source, at, PromptIndex(at.value + 1)});
  }
  for (const int threads : {1, 2, 3}) {
    PlanText in_threads = sample_text();
    in_threads.threads = threads;
    const Plan plan = make_plan(config, sample_model(), prompts, in_threads, "cpu", "float32");
    ASSERT_EQ(plan.prompts.size(), 5200u);
    for (std::size_t p = 0; p < plan.prompts.size(); ++p) {
      ASSERT_EQ(plan.tokens[p], bytes_as_tokens(prompts.prompts[p].text));
      ASSERT_EQ(plan.texts[p], prompts.prompts[p].text);
      ASSERT_EQ(plan.prompt_ids[p], prompts.prompts[p].id);
    }
  }
}

TEST(MakePlan, AFailingThreadEndsThePlan) {
  PlanText failing = sample_text();
  failing.threads = 4;
  failing.encode_prompt = [](const Prompt& prompt) {
    if (prompt.text.back() == '3') throw InputError("text", "is wrong");
    return PromptEncoding{};
  };
  const auto prompts = prompt_set({{"1", "2"}, {"3", "4"}});
  EXPECT_TRUE(says(refusal_message([&] {
                     make_plan(sample_config({"base"}), sample_model(), prompts, failing, "cpu",
                               "float32");
                   }),
                   {"text", "is wrong"}));
}

TEST(MakePlan, WithoutTextsIsTheSameButForThem) {
  auto config = sample_config({"base", "kv_cache layers=4:8", "kv_cache layers=1 positions=all"});
  config.controls = {{"other_base", "job.cfg:20"}, {"filler", "job.cfg:21"}};
  const auto prompts = prompt_set({{text(20, 'a'), text(30, 'b')}, {text(25), text(30, 'b')}});
  const auto plan_with = [&](Texts texts) {
    const PromptSource source = [&](const PromptSink& sink) {
      for (const Prompt& prompt : prompts.prompts) sink(prompt);
      return prompts.pairs;
    };
    const ModelConfig model = sample_model();
    const PlanText text = sample_text();
    return make_plan({config, model, source, text, "cpu", "float32", texts});
  };
  const Plan with = plan_with(Texts::kept), without = plan_with(Texts::forgotten);
  EXPECT_TRUE(without.texts.empty());
  ASSERT_EQ(with.bundles.size(), without.bundles.size());
  for (const PlannedBundle& bundle : with.bundles) {
    Bundle expected = complete_bundle(with, bundle.id);
    for (BundleContext& context : expected.contexts)
      if (context.prompt != filler_prompt) context.text.clear();
    EXPECT_EQ(to_bytes(complete_bundle(without, bundle.id)), to_bytes(expected));
  }
}

TEST(MakePlan, TakesBundleRowsFromTheTableWhereNoneAreGiven) {
  auto config = sample_config({"base"});
  EXPECT_EQ(sample_plan(config, prompt_set({})).bundle_rows, 16);
  config.bundle_rows.reset();
  EXPECT_EQ(sample_plan(config, prompt_set({})).bundle_rows, 128);
}

TEST(MakePlan, RefusesLayersOutsideTheModelNamingTheKey) {
  auto config = sample_config({});
  config.late_layer = {"8", "job.cfg:2"};
  EXPECT_TRUE(says(refusal_message([&] { sample_plan(config, prompt_set({})); }),
                   {"job.cfg:2", "model.late_layer", "8", "layers 0 to 7"}));
  config.early_layer = {"first", "job.cfg:1"};
  EXPECT_TRUE(says(refusal_message([&] { sample_plan(config, prompt_set({})); }),
                   {"job.cfg:1", "model.early_layer", "\"first\""}));
  EXPECT_TRUE(says(
      refusal_message([&] { sample_plan(sample_config({"v_proj layers=8"}), prompt_set({})); }),
      {"job.cfg:10", "layers 0 to 7"}));
}

TEST(MakePlan, RowIdsStayWhenPairsAreAddedAtTheEnd) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (std::int64_t i = 0; i < 20; ++i) texts.emplace_back(text(16 + i, 's'), text(36 - i, 'b'));
  const auto config = sample_config({"base", "source", "v_proj layers=2"}, 2);
  const auto all = sample_plan(config, prompt_set(texts));
  texts.resize(7);
  const auto some = sample_plan(config, prompt_set(texts));
  ASSERT_EQ(some.rows.size(), 7u * 3u * 2u);
  for (std::size_t i = 0; i < some.rows.size(); ++i) EXPECT_EQ(some.rows[i].id, all.rows[i].id);
}

TEST(MakePlan, KeepsTheClustersOfPrompts) {
  PromptSet prompts = prompt_set({{std::string(30, 'a'), std::string(30, 'b')}});
  prompts.prompts[1].cluster = "template";
  const auto plan = sample_plan(sample_config({"base"}), prompts);
  EXPECT_EQ(plan.cluster(plan.prompts[0]), "");
  EXPECT_EQ(plan.cluster(plan.prompts[1]), "template");
}

}  // namespace
}  // namespace rvsweep
