#include "rvsweep/plan/arm.hpp"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "plan/arm_forms.hpp"
#include "rvsweep/text/keyword_tokens.hpp"
#include "support/input_error.hpp"
#include "support/sample_model_config.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t window = 16;

/// 4 query heads on 2 KV heads.
ModelConfig model() { return testing::sample_model_config(32); }

std::vector<Arm> parse(const std::vector<std::string>& lines) {
  std::vector<ConfigValue> values;
  for (std::size_t i = 0; i < lines.size(); ++i)
    values.push_back({lines[i], "job.cfg:" + std::to_string(i + 1)});
  return parse_arms(values, model(), window);
}

Arm one(const std::string& line) {
  const auto arms = parse({line});
  EXPECT_EQ(arms.size(), 1u) << line;
  return arms.at(0);
}

const Patch& patch_of(const Arm& arm) {
  EXPECT_EQ(arm.patches.size(), 1u) << arm.label;
  return arm.patches.at(0);
}
const SiteTarget& site_of(const Arm& arm) { return std::get<SiteTarget>(patch_of(arm).target); }
const CacheTarget& cache_of(const Arm& arm) { return std::get<CacheTarget>(patch_of(arm).target); }

std::vector<std::string> labels(const std::vector<Arm>& arms) {
  std::vector<std::string> result;
  for (const Arm& arm : arms) result.push_back(arm.label);
  return result;
}

std::string refusal(const std::vector<std::string>& lines) {
  return refusal_message([&] { parse(lines); });
}

using Labels = std::vector<std::string>;

TEST(Arms, WithoutPatchHaveNoSettings) {
  EXPECT_EQ(one("base").direction, Direction::source_to_base);
  EXPECT_EQ(one("source").direction, Direction::base_to_source);
  EXPECT_EQ(one("base").canonical(), "base");
  EXPECT_EQ(one("source").canonical(), "source");
  EXPECT_EQ(one("base").label, "base");
  EXPECT_FALSE(one("base").is_patched());
  EXPECT_FALSE(one("source").is_patched());
}

TEST(Arms, OfVProjHaveTheDefaultsOfTheContract) {
  const Arm arm = one("v_proj layers=24");
  EXPECT_EQ(site_of(arm).site, Site::v);
  EXPECT_EQ(patch_of(arm).layers, (LayerSet{24}));
  EXPECT_EQ(site_of(arm).decode, Decode::prefill);
  EXPECT_EQ(site_of(arm).window_policy, WindowPolicy::refuse);
  EXPECT_EQ(site_of(arm).window, window);
  EXPECT_EQ(arm.direction, Direction::source_to_base);
  EXPECT_EQ(arm.truncate_at, 0);
  EXPECT_TRUE(arm.is_patched());
  EXPECT_EQ(arm.canonical(),
            "v_proj layers=24 decode=prefill window=16 window_policy=refuse heads=all alpha=1 "
            "direction=source_to_base");
}

TEST(Arms, OfKvCacheHaveTheDefaultsOfTheContract) {
  const Arm arm = one("kv_cache layers=16:32");
  EXPECT_EQ(arm.entry, Entry::hold_last);
  EXPECT_EQ(cache_of(arm).growth, Growth::append);
  EXPECT_EQ(cache_of(arm).align, Align::rerotate);
  EXPECT_EQ(arm.direction, Direction::source_to_base);
  EXPECT_EQ(arm.canonical(),
            "kv_cache layers=16:32 entry=hold_last growth=append align=rerotate what=kv "
            "positions=all heads=all alpha=1 direction=source_to_base");
}

TEST(Arms, TakeEverySetting) {
  const Arm kv = one(
      "kv_cache layers=0:8+24:32 entry=refeed growth=compound align=as_is what=kv positions=all "
      "heads=all alpha=1 direction=base_to_source label=mine");
  EXPECT_EQ(kv.entry, Entry::refeed);
  EXPECT_EQ(cache_of(kv).growth, Growth::compound);
  EXPECT_EQ(cache_of(kv).align, Align::as_is);
  EXPECT_EQ(kv.direction, Direction::base_to_source);
  EXPECT_EQ(kv.label, "mine");
  EXPECT_EQ(kv.canonical(),
            "kv_cache layers=0:8+24:32 entry=refeed growth=compound align=as_is what=kv "
            "positions=all heads=all alpha=1 direction=base_to_source");
  EXPECT_EQ(cache_of(one("kv_cache layers=1 growth=frozen align=matched")).growth, Growth::frozen);
  EXPECT_EQ(cache_of(one("kv_cache layers=1 growth=frozen align=matched")).align, Align::matched);
  const Arm v = one("v_proj layers=3 decode=persist window_policy=shrink");
  EXPECT_EQ(site_of(v).decode, Decode::persist);
  EXPECT_EQ(site_of(v).window_policy, WindowPolicy::shrink);
}

TEST(Arms, TakeSharesHeadsAndPositions) {
  const Arm kv = one("kv_cache layers=1 what=v heads=1 alpha=0.25 positions=span:2:5");
  EXPECT_EQ(cache_of(kv).what, What::v);
  EXPECT_EQ(patch_of(kv).heads, std::vector<std::int64_t>{1});
  EXPECT_EQ(patch_of(kv).alpha, 0.25);
  EXPECT_EQ(cache_of(kv).positions.kind, PositionsKind::span);
  EXPECT_EQ(kv.canonical(),
            "kv_cache layers=1 entry=hold_last growth=append align=rerotate what=v "
            "positions=span:2:5 heads=1 alpha=0.25 direction=source_to_base");
  EXPECT_EQ(kv.label, "kv_cache 1 what=v span:2:5 heads=1 alpha=0.25");
  EXPECT_EQ(patch_of(one("z layers=1 heads=3+0+3")).heads, (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(one("v_proj layers=1 heads=0+1").canonical(), one("v_proj layers=1").canonical());
}

TEST(Arms, CanonicalTextOfLayersIsResolved) {
  EXPECT_EQ(one("kv_cache layers=50%:100%").canonical(), one("kv_cache layers=16:32").canonical());
  EXPECT_EQ(one("kv_cache layers=17+16+18:32").canonical(),
            one("kv_cache layers=16:32").canonical());
  EXPECT_EQ(one("kv_cache  layers=16:32   entry=hold_last").canonical(),
            one("kv_cache entry=hold_last layers=16:32").canonical());
}

// "Equal text means equal rows": every setting that changes what is computed changes the text.
TEST(Arms, CanonicalTextTellsAllSettingsApart) {
  const auto arms =
      parse({"base", "source",
             "v_proj layers=1,2,1:3 decode=prefill,persist "
             "window_policy=refuse,shrink direction=source_to_base,base_to_source",
             "kv_cache layers=1,2 entry=hold_last,refeed "
             "growth=append,frozen,compound align=as_is,rerotate,matched "
             "direction=source_to_base,base_to_source",
             "kv_cache layers=3 what=k,v,kv alpha=0,0.5 heads=0,1,all "
             "positions=first:2,last:2,span:1:2,bos,not_bos,words:a,words:b",
             "resid_pre layers=1", "resid_post layers=1", "attn_out layers=1", "mlp_out layers=1",
             "q_proj layers=1 heads=3,2", "k_proj layers=1", "z layers=1 alpha=0.5,1",
             "preset:notebook_b layers=1 direction=source_to_base,base_to_source",
             "preset:notebook_c_v1 layers=1", "preset:notebook_c_v2 layers=1"});
  EXPECT_EQ(arms.size(), 2u + 3 * 2 * 2 * 2 + 2 * 2 * 3 * 3 * 2 + 3 * 2 * 3 * 7 + 9 + 2 + 1 + 1);
  // parse_arms refuses equal texts and equal labels, so all of these differ.
  const auto wider = parse_arms({{"v_proj layers=1", "x"}}, model(), window + 1);
  EXPECT_NE(wider[0].canonical(), one("v_proj layers=1").canonical());
}

TEST(Arms, PresetsPinTheNotebook) {
  const Arm b = one("preset:notebook_b layers=75%");
  EXPECT_EQ(b.preset, "notebook_b");
  EXPECT_EQ(patch_of(b).layers, (LayerSet{24}));
  EXPECT_EQ(site_of(b).decode, Decode::persist);
  EXPECT_EQ(site_of(b).window_policy, WindowPolicy::shrink);
  EXPECT_EQ(site_of(b).window, window);
  EXPECT_EQ(b.truncate_at, 512);
  EXPECT_EQ(b.label, "notebook_b 24");
  EXPECT_EQ(b.canonical(),
            "v_proj layers=24 decode=persist window=16 window_policy=shrink heads=all alpha=1 "
            "direction=source_to_base preset=notebook_b truncate=512");
  const Arm v1 = one("preset:notebook_c_v1 layers=16:32");
  EXPECT_EQ(v1.entry, Entry::refeed);
  EXPECT_EQ(cache_of(v1).growth, Growth::frozen);
  EXPECT_EQ(cache_of(v1).align, Align::as_is);
  EXPECT_EQ(v1.truncate_at, 512);
  const Arm v2 = one("preset:notebook_c_v2 layers=16:32 direction=base_to_source");
  EXPECT_EQ(v2.entry, Entry::refeed);
  EXPECT_EQ(cache_of(v2).growth, Growth::compound);
  EXPECT_EQ(cache_of(v2).align, Align::as_is);
  EXPECT_EQ(v2.direction, Direction::base_to_source);
  EXPECT_EQ(v2.canonical(),
            "kv_cache layers=16:32 entry=refeed growth=compound align=as_is what=kv positions=all "
            "heads=all alpha=1 direction=base_to_source preset=notebook_c_v2 truncate=512");
}

TEST(Arms, LabelsTellTheKindLayersAndWhatIsOffItsDefault) {
  EXPECT_EQ(one("v_proj layers=24").label, "v_proj 24");
  EXPECT_EQ(one("v_proj layers=24 decode=persist window_policy=shrink").label,
            "v_proj 24 persist shrink");
  EXPECT_EQ(one("kv_cache layers=16:32 direction=base_to_source align=as_is").label,
            "kv_cache 16:32 as_is base_to_source");
  EXPECT_EQ(one("preset:notebook_c_v1 layers=16:32").label, "notebook_c_v1 16:32");
  EXPECT_EQ(one("base label=plain").label, "plain");
}

TEST(Arms, CommaStandsForOneArmEachTheLastSettingFastest) {
  EXPECT_EQ(labels(parse({"base", "kv_cache layers=0:8,8:16 align=rerotate,as_is", "source"})),
            (Labels{"base", "kv_cache 0:8", "kv_cache 0:8 as_is", "kv_cache 8:16",
                    "kv_cache 8:16 as_is", "source"}));
  EXPECT_EQ(labels(parse({"kv_cache align=rerotate,as_is layers=0:8,8:16"})),
            (Labels{"kv_cache 0:8", "kv_cache 8:16", "kv_cache 0:8 as_is", "kv_cache 8:16 as_is"}));
}

TEST(Arms, BandsAreOneArmEach) {
  EXPECT_EQ(labels(parse({"kv_cache layers=width:16/stride:8"})),
            (Labels{"kv_cache 0:16", "kv_cache 8:24", "kv_cache 16:32"}));
  EXPECT_EQ(labels(parse({"v_proj layers=width:16/stride:16,3"})),
            (Labels{"v_proj 0:16", "v_proj 16:32", "v_proj 3"}));
}

TEST(Arms, NoLineIsNoArm) { EXPECT_TRUE(parse({}).empty()); }

TEST(Arms, OfSeveralPatchesNameEachInItsOrder) {
  Arm arm =
      one("v_proj layers=3 direction=base_to_source & kv_cache layers=1 what=k "
          "positions=words:W+v");
  EXPECT_EQ(kind_name(arm), "v_proj & kv_cache");
  EXPECT_EQ(arm.canonical(),
            "v_proj layers=3 decode=prefill window=16 window_policy=refuse heads=all alpha=1 & "
            "kv_cache layers=1 entry=hold_last growth=append align=rerotate what=k "
            "positions=words:v+w heads=all alpha=1 direction=base_to_source");
  EXPECT_EQ(word_lists({one("base"), arm}), (std::set<std::set<std::string>>{{"v", "w"}}));
  EXPECT_FALSE(arm.takes_from(DonorPrompt::self));
  arm.patches[1].donor.prompt = DonorPrompt::self;
  EXPECT_TRUE(arm.takes_from(DonorPrompt::self));
}

TEST(Arms, OfSeveralPatchesTakeEveryChoiceOfEach) {
  EXPECT_EQ(labels(parse({"kv_cache layers=0:8,16:32 & v_proj layers=27 decode=persist,prefill"})),
            (Labels{"kv_cache 0:8 & v_proj 27 persist", "kv_cache 0:8 & v_proj 27",
                    "kv_cache 16:32 & v_proj 27 persist", "kv_cache 16:32 & v_proj 27"}));
  EXPECT_EQ(labels(parse({"kv_cache layers=0:8 & v_proj layers=27 label=joint"})), Labels{"joint"});
  EXPECT_EQ(labels(parse({"kv_cache layers=0:8 label=joint & v_proj layers=27"})), Labels{"joint"});
  EXPECT_EQ(labels(parse({"kv_cache\tlayers=0:8 label=k&v"})), Labels{"k&v"});
}

TEST(Arms, OfSeveralPatchesHaveOneEntryAndDirection) {
  const Arm arm =
      one("v_proj layers=3 & kv_cache layers=1 entry=refeed & kv_cache layers=2 "
          "direction=base_to_source");
  EXPECT_EQ(arm.entry, Entry::refeed);
  EXPECT_EQ(arm.direction, Direction::base_to_source);
  EXPECT_EQ(arm.patches.size(), 3u);
}

TEST(Arms, SitesHaveAWindowOfTheirOwn) {
  const Arm arm = one("v_proj layers=3 window=4");
  EXPECT_EQ(site_of(arm).window, 4);
  EXPECT_EQ(arm.label, "v_proj 3 window=4");
  EXPECT_EQ(site_of(one("v_proj layers=3")).window, window);
  EXPECT_EQ(longest_window({one("base"), arm}, 16), 16);
  EXPECT_EQ(longest_window({one("v_proj layers=3 window=20")}, 16), 20);
  EXPECT_EQ(longest_window({one("v_proj layers=3 window=4096")}, 16), 4096);
  for (const std::string beyond :
       {"window=4097", "window=9223372036854775807", "positions=each:4097"})
    EXPECT_TRUE(says(refusal({"v_proj layers=3 " + beyond}), {"job.cfg:1", beyond})) << beyond;
}

TEST(Arms, SitesTakePositionsInPlaceOfTheWindow) {
  const Arm arm = one("resid_pre layers=9 positions=last:3");
  EXPECT_EQ(site_of(arm).positions->end, 3);
  EXPECT_EQ(arm.label, "resid_pre 9 last:3");
  EXPECT_EQ(arm.canonical(),
            "resid_pre layers=9 decode=prefill positions=last:3 heads=all alpha=1 "
            "direction=source_to_base");
  EXPECT_FALSE(site_of(one("v_proj layers=3 positions=window window=4")).positions);
  EXPECT_EQ(word_lists({one("v_proj layers=1 positions=words:a+b")}).size(), 1u);
  EXPECT_TRUE(says(refusal({"v_proj layers=1 positions=bos window=4"}),
                   {"job.cfg:1", "window=4", "positions=bos"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 window_policy=shrink positions=all"}),
                   {"window_policy=shrink", "positions=all"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 positions=middle"}), {"positions=middle"}));
}

TEST(Arms, ReachBeyondWindowsWithPositionsThatMayLieThere) {
  const auto reach = [](const std::string& line) {
    return reach_beyond_windows({one("base"), one(line)}, window);
  };
  for (const std::string inside :
       {"v_proj layers=1", "v_proj layers=1 positions=last:16",
        "v_proj layers=1 positions=span:3:16", "kv_cache layers=1 positions=first:2"})
    EXPECT_FALSE(reach(inside)) << inside;
  for (const std::string beyond :
       {"all", "last:17", "span:3:17", "first:1", "bos", "not_bos", "words:a"})
    EXPECT_TRUE(reach("v_proj layers=1 positions=" + beyond)) << beyond;
}

TEST(Arms, OfEachLayerAndPositionMakeAMap) {
  const auto arms = parse({"resid_pre layers=each positions=each:3",
                           "kv_cache layers=1 "
                           "positions=each"});
  ASSERT_EQ(arms.size(), 32u * 3 + 16);
  EXPECT_EQ(arms[0].label, "resid_pre 0 span:0:1");
  EXPECT_EQ(arms[5].label, "resid_pre 1 span:2:3");
  EXPECT_EQ(arms.back().label, "kv_cache 1 span:15:16");
}

TEST(Arms, OfStepsNameThoseThatAreSet) {
  const Arm arm = one("v_proj layers=3 decode=persist from_step=2 until_step=5");
  EXPECT_EQ(site_of(arm).steps, (Steps{2, 5}));
  EXPECT_EQ(arm.label, "v_proj 3 persist from_step=2 until_step=5");
  EXPECT_EQ(arm.canonical(),
            "v_proj layers=3 decode=persist window=16 window_policy=refuse from_step=2 "
            "until_step=5 heads=all alpha=1 direction=source_to_base");
  EXPECT_EQ(one("v_proj layers=3 decode=persist from_step=0 until_step=end").canonical(),
            one("v_proj layers=3 decode=persist").canonical());
}

TEST(Arms, OfTheCacheMayBeginAtAStep) {
  const Arm arm = one("kv_cache layers=3 at_step=4");
  EXPECT_EQ(cache_of(arm).at_step, 4);
  EXPECT_EQ(arm.label, "kv_cache 3 at_step=4");
  EXPECT_TRUE(says(arm.canonical(), {"positions=all at_step=4 heads=all"}));
  EXPECT_EQ(one("kv_cache layers=3 at_step=0").canonical(), one("kv_cache layers=3").canonical());
  EXPECT_TRUE(says(refusal({"kv_cache layers=3 at_step=4 growth=frozen"}), {"growth=append"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=3 at_step=-4"}), {"at_step=-4"}));
  EXPECT_TRUE(says(
      refusal({"kv_cache layers=3 positions=bos & kv_cache layers=3 positions=last:2 at_step=1"}),
      {"differ in at_step"}));
}

TEST(Arms, OfOperationsNameThemAndTheirNumber) {
  const auto expect = [](const std::string& settings, SiteOperation operation, double amount,
                         const std::string& text) {
    const Arm arm = one("resid_pre layers=3 " + settings);
    EXPECT_EQ(site_of(arm).operation, operation);
    EXPECT_EQ(site_of(arm).amount, amount);
    EXPECT_EQ(arm.canonical(), "resid_pre layers=3 decode=prefill window=16 window_policy=refuse" +
                                   text + " heads=all alpha=1 direction=source_to_base");
  };
  expect("op=replace", SiteOperation::replace, 1, "");
  expect("op=add", SiteOperation::add, 1, " op=add scale=1");
  expect("scale=-6.5 op=add", SiteOperation::add, -6.5, " op=add scale=-6.5");
  expect("op=add scale=0.5n", SiteOperation::add_of_norm, 0.5, " op=add scale=0.5n");
  expect("op=project_out", SiteOperation::project_out, 1, " op=project_out");
  expect("op=scale factor=0", SiteOperation::scale, 0, " op=scale factor=0");
  EXPECT_EQ(labels(parse({"resid_pre layers=3 op=add scale=1,2,0.5n"})),
            (Labels{"resid_pre 3 add", "resid_pre 3 add scale=2", "resid_pre 3 add scale=0.5n"}));
}

TEST(Arms, OfWordListsAreKnownByTheirWords) {
  const auto positions = [](const std::string& words) {
    const std::string text = one("kv_cache layers=1 positions=words:" + words).canonical();
    return text.substr(text.find("positions="), text.find(" heads=") - text.find("positions="));
  };
  EXPECT_EQ(positions("Self+itself+self"), "positions=words:itself+self");
  // The shipped list, whose rows had their ids before.
  const auto shipped = read_word_list(SHIPPED_WORDS);
  EXPECT_EQ(positions(fmt::format("{}", fmt::join(shipped, "+"))),
            "positions=keywords:jobs/prompts/self_words.txt");
  EXPECT_EQ(labels(parse({"kv_cache layers=1 positions=words:a+b+c+d,words:a+b+c+d+e"})),
            (Labels{"kv_cache 1 words:a+b+c+d", "kv_cache 1 words:a+b+c+2 more"}));
}

TEST(Arms, ChooseFromTheHeadsOfTheirTarget) {
  EXPECT_EQ(heads_of(patch_of(one("z layers=1")), model()), 4);
  EXPECT_EQ(heads_of(patch_of(one("k_proj layers=1")), model()), 2);
  EXPECT_EQ(heads_of(patch_of(one("resid_pre layers=1")), model()), 1);
  EXPECT_EQ(heads_of(patch_of(one("kv_cache layers=1")), model()), 2);
}

TEST(RefusedArm, UnknownKindWithTheNearestOne) {
  EXPECT_TRUE(says(refusal({"base", "kv_cahce layers=1"}),
                   {"job.cfg:2", "kv_cahce", "did you mean kv_cache?"}));
  EXPECT_TRUE(says(refusal({"preset:notebook_c layers=1"}),
                   {"job.cfg:1", "preset:notebook_c", "did you mean preset:notebook_"}));
  EXPECT_TRUE(says(refusal({""}), {"job.cfg:1", "unknown arm"}));
}

TEST(RefusedArm, UnknownSettingWithTheNearestOne) {
  EXPECT_TRUE(says(refusal({"kv_cache layer=1"}), {"job.cfg:1", "layer", "did you mean layers?"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 decod=persist"}),
                   {"job.cfg:1", "decod", "v_proj", "did you mean decode?"}));
}

TEST(RefusedArm, SettingThatMeansNothingForIt) {
  EXPECT_TRUE(says(refusal({"base layers=1"}), {"job.cfg:1", "layers", "means nothing for base"}));
  EXPECT_TRUE(says(refusal({"source direction=base_to_source"}), {"direction", "source"}));
  EXPECT_TRUE(
      says(refusal({"v_proj layers=1 align=as_is"}), {"align", "means nothing for v_proj"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=1 decode=persist"}),
                   {"decode", "means nothing for kv_cache"}));
  EXPECT_TRUE(says(refusal({"preset:notebook_c_v1 layers=1 growth=append"}),
                   {"growth", "means nothing for preset:notebook_c_v1"}));
}

TEST(RefusedArm, ValueThatIsNoChoice) {
  EXPECT_TRUE(says(refusal({"v_proj layers=1 decode=always"}),
                   {"job.cfg:1", "decode=always", "prefill, persist"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=1 align=rotated,as_is"}),
                   {"align=rotated", "as_is, rerotate, matched"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=1 what=q"}), {"what=q", "kv, k, v"}));
  EXPECT_TRUE(
      says(refusal({"kv_cache layers=1 positions=middle"}), {"job.cfg:1", "positions=middle"}));
  EXPECT_TRUE(
      says(refusal({"v_proj layers=1 alpha=1.5"}), {"job.cfg:1", "alpha=1.5", "from 0 to 1"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 heads=1+2"}), {"heads=1+2", "0 to 1"}));
  EXPECT_TRUE(says(refusal({"z layers=1 heads=4"}), {"heads=4", "0 to 3"}));
  EXPECT_TRUE(says(refusal({"mlp_out layers=1 heads=0"}), {"heads", "means nothing for mlp_out"}));
}

TEST(RefusedArm, StepsThatNoPatchHas) {
  EXPECT_TRUE(says(refusal({"v_proj layers=1 from_step=2"}), {"job.cfg:1", "decode=persist"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 decode=persist from_step=3 until_step=3"}),
                   {"job.cfg:1", "from_step=3", "until_step=3"}));
  for (const std::string step : {"-1", "two", "1.5"})
    EXPECT_TRUE(says(refusal({"v_proj layers=1 decode=persist until_step=" + step}),
                     {"job.cfg:1", "until_step=" + step}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=1 from_step=2"}), {"job.cfg:1", "from_step"}));
}

TEST(RefusedArm, NumbersOfAnotherOperation) {
  EXPECT_TRUE(says(refusal({"v_proj layers=1 scale=2"}), {"job.cfg:1", "scale", "op=add"}));
  EXPECT_TRUE(
      says(refusal({"v_proj layers=1 op=add factor=2"}), {"job.cfg:1", "factor", "op=scale"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 op=scale"}), {"job.cfg:1", "factor="}));
  EXPECT_TRUE(
      says(refusal({"v_proj layers=1 op=add alpha=0.5"}), {"job.cfg:1", "alpha", "scale="}));
  for (const std::string scale : {"six", "inf", "2m", "n"})
    EXPECT_TRUE(says(refusal({"v_proj layers=1 op=add scale=" + scale}),
                     {"job.cfg:1", "scale=" + scale, "0.5n"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 op=subtract"}), {"job.cfg:1", "project_out"}));
}

TEST(RefusedArm, MalformedWords) {
  EXPECT_TRUE(says(refusal({"v_proj 24"}), {"job.cfg:1", "\"24\"", "setting=value"}));
  EXPECT_TRUE(says(refusal({"v_proj layers="}), {"job.cfg:1", "layers", "empty"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=24,"}), {"job.cfg:1", "layers", "empty"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 layers=2"}), {"job.cfg:1", "layers", "twice"}));
  EXPECT_TRUE(says(refusal({"v_proj"}), {"job.cfg:1", "v_proj needs layers="}));
  EXPECT_TRUE(says(refusal({"v_proj decode=persist"}), {"job.cfg:1", "v_proj needs layers="}));
}

TEST(RefusedArm, LayersNamedWithTheirPlace) {
  EXPECT_TRUE(says(refusal({"base", "v_proj layers=32"}), {"job.cfg:2", "32", "layers 0 to 31"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=0:8,16:16"}), {"job.cfg:1", "16:16", "empty"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=last"}), {"job.cfg:1", "\"last\""}));
}

TEST(RefusedArm, NotebookBWithMoreThanOneLayer) {
  EXPECT_TRUE(says(refusal({"preset:notebook_b layers=16:32"}),
                   {"job.cfg:1", "preset:notebook_b patches one layer, not 16"}));
}

TEST(RefusedArm, PatchesThatCannotShareARow) {
  EXPECT_TRUE(says(refusal({"base & v_proj layers=1"}), {"job.cfg:1", "base", "arm of its own"}));
  EXPECT_TRUE(
      says(refusal({"v_proj layers=1 & preset:notebook_b layers=1"}), {"preset:notebook_b"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 &"}), {"job.cfg:1", "arm \"\""}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1 direction=base_to_source & z layers=1 "
                            "direction=source_to_base"}),
                   {"direction is one for all patches", "write it once"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=1 entry=refeed,hold_last & z layers=1"}),
                   {"entry=refeed,hold_last", "one arm line for each"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=1:4 & kv_cache layers=3:5"}),
                   {"two kv_cache patches of layer 3", "all positions"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=1 positions=last:2 & kv_cache layers=1 "
                            "positions=bos growth=frozen"}),
                   {"two kv_cache patches of layer 1 differ in growth"}));
  EXPECT_EQ(one("kv_cache layers=1 positions=last:2 what=k & kv_cache layers=1 positions=bos")
                .patches.size(),
            2u);
  EXPECT_TRUE(says(refusal({"v_proj layers=1 window=0"}), {"job.cfg:1", "window=0"}));
}

TEST(RefusedArm, EqualArmsNamingBothPlaces) {
  EXPECT_TRUE(says(refusal({"base", "source", "base"}), {"job.cfg:3", "\"base\"", "job.cfg:1"}));
  EXPECT_TRUE(says(refusal({"kv_cache layers=50%:100%", "kv_cache layers=16:32 label=other"}),
                   {"job.cfg:2", "kv_cache layers=16:32", "job.cfg:1"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=3,3"}), {"job.cfg:1", "v_proj layers=3"}));
}

TEST(RefusedArm, EqualLabelsNamingBothPlaces) {
  EXPECT_TRUE(says(refusal({"v_proj layers=1 label=x", "v_proj layers=2 label=x"}),
                   {"job.cfg:2", "label \"x\"", "job.cfg:1"}));
  EXPECT_TRUE(says(refusal({"v_proj layers=1,2 label=x"}), {"job.cfg:1", "label \"x\""}));
  EXPECT_TRUE(says(refusal({"base", "source label=base"}), {"job.cfg:2", "label \"base\""}));
}

TEST(KindName, IsWhatConfigsSay) {
  EXPECT_EQ(kind_name(one("base")), "base");
  EXPECT_EQ(kind_name(one("source")), "source");
  EXPECT_EQ(kind_name(one("kv_cache layers=1")), "kv_cache");
  for (const std::string site :
       {"resid_pre", "q_proj", "k_proj", "v_proj", "z", "attn_out", "mlp_out", "resid_post"})
    EXPECT_EQ(kind_name(one(site + " layers=1")), site);
}

}  // namespace
}  // namespace rvsweep
