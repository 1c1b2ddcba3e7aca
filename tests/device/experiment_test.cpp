// The whole of experiment on a device beside the CPU.
#include <ATen/TensorOperators.h>
#include <c10/core/DeviceGuard.h>
#include <gtest/gtest.h>

#include <cmath>

#include "experiment/study.hpp"
#include "rvsweep/experiment/mean_donors.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "support/test_device.hpp"

namespace rvsweep {
namespace {

using testing::some_tokens;
using testing::Study;
using testing::test_device;

/// Every site, every setting of kv_cache and every preset.
std::vector<std::string> all_arms() {
  return {"base",
          "source",
          "v_proj layers=2 decode=persist",
          "v_proj layers=1:3 heads=1",
          "q_proj layers=2 decode=persist alpha=0.5",
          "k_proj layers=0 decode=prefill",
          "z layers=3 decode=persist heads=0+2",
          "attn_out layers=1 decode=persist",
          "mlp_out layers=1:3 decode=prefill",
          "resid_pre layers=2 decode=persist",
          "resid_post layers=3 decode=persist window_policy=shrink",
          "v_proj layers=1 direction=base_to_source",
          "kv_cache layers=1:3",
          "kv_cache layers=0:4 entry=refeed align=as_is",
          "kv_cache layers=1:4 growth=frozen",
          "kv_cache layers=0:2 entry=refeed growth=compound align=as_is",
          "kv_cache layers=0:4 growth=compound",
          "kv_cache layers=1:3 what=k positions=last:8",
          "kv_cache layers=1:3 what=v positions=first:8",
          "kv_cache layers=1:3 positions=span:4:12 heads=1",
          "kv_cache layers=1:3 positions=not_bos alpha=0.25",
          "kv_cache layers=1:3 positions=bos direction=base_to_source",
          "preset:notebook_b layers=3",
          "preset:notebook_c_v1 layers=2:4",
          "preset:notebook_c_v2 layers=2:4"};
}

/// All arms in one bundle, then a cache and a site patched by every derived donor, by the row's
/// own state and by another pair's prompt.
Study study_of_everything() {
  Study study(all_arms());
  Bundle& bundle = study.bundle;
  bundle.contexts.push_back({PromptIndex(2), some_tokens(30, 5), "other text", true});
  bundle.derived = {{Derivation::gaussian, 1, 23, 0, "pair"},
                    {Derivation::shuffled, 1, 23, 22, "pair"},
                    {Derivation::zero, -1, 23},
                    {Derivation::mean, -1, 23}};
  const auto n_contexts = static_cast<std::int32_t>(std::ssize(bundle.contexts));
  for (const std::int32_t arm : {3, 12})  // v_proj, kv_cache
    for (std::int32_t donor = 0; donor < n_contexts + 4; ++donor)
      if (donor != 1) {
        study.add_row(arm, 0, 1);
        bundle.rows.back().donors = {{donor}};
        bundle.rows.back().pair_hash = static_cast<std::uint64_t>(100 + donor);
      }
  bundle.shape.rows = canonical_rows(std::ssize(bundle.rows));
  return study;
}

struct Run {
  BundleResult result;
  std::vector<at::Tensor> logits;  // [rows, vocab] of every step, on the CPU
};

Run run_on(const Placement& placement, Study study, const ModelConfig& config,
           bool observes_steps = false) {
  const c10::DeviceGuard guard(placement.device);
  study.model = testing::tiny_transformer(7, config, placement);
  study.means =
      means_over(study.model, {{{some_tokens(23, 2), some_tokens(25, 8), some_tokens(40, 9)}}});
  Run run;
  run.result =
      observes_steps
          ? study.run([&](std::int64_t, const at::Tensor& x) { run.logits.push_back(x.cpu()); })
          : study.run();
  return run;
}

void expect_all_ok(BundleResult& result) {
  for (std::size_t r = 0; r < result.rows.index.size(); ++r)
    EXPECT_EQ(column(result.rows, columns::status)[r], 0)
        << "row " << r << ": " << column(result.rows, columns::reason)[r];
}

/// Numbers that differ by at most `tolerance` of the item's largest, or of 1; all else the same.
void expect_close(const ItemTable& table, const ItemTable& expected, double tolerance) {
  ASSERT_EQ(table.columns.size(), expected.columns.size());
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const ColumnSpec& spec = table.columns[c].spec;
    const auto check = [&]<class T>(const std::vector<T>& values) {
      const auto& others = std::get<std::vector<T>>(expected.columns[c].values);
      if constexpr (!std::is_floating_point_v<T>) {
        EXPECT_EQ(values, others) << spec.name;
      } else {
        const auto width = static_cast<std::size_t>(item_size(spec));
        for (std::size_t i = 0; i < values.size(); i += width) {
          double scale = 1;
          for (std::size_t j = i; j < i + width; ++j)
            if (!std::isnan(others[j])) scale = std::max<double>(scale, std::abs(others[j]));
          for (std::size_t j = i; j < i + width; ++j)
            if (!std::isnan(others[j]) || !std::isnan(values[j]))
              EXPECT_NEAR(values[j], others[j], tolerance * scale)
                  << spec.name << " of item " << i / width;
        }
      }
    };
    std::visit(check, table.columns[c].values);
  }
}

constexpr double float32_tolerance = 2e-5;

/// float32 here and there: rounding of 1e-6 decides no token of these texts.
void expect_like_cpu(const Study& study) {
  Run cpu = run_on({}, study, testing::tiny_config());
  Run device = run_on({test_device()}, study, testing::tiny_config());
  expect_all_ok(cpu.result);
  expect_all_ok(device.result);
  expect_close(device.result.prompts, cpu.result.prompts, float32_tolerance);
  expect_close(device.result.rows, cpu.result.rows, float32_tolerance);
}

TEST(OnDevice, SampledRowsOfEveryKindAreTheCpus) { expect_like_cpu(study_of_everything()); }

}  // namespace
}  // namespace rvsweep
