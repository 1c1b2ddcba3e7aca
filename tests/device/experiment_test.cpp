// The whole of experiment on a device beside the CPU.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <future>

#include "device/everything.hpp"
#include "rvsweep/experiment/mean_donors.hpp"
#include "rvsweep/experiment/self_check.hpp"
#include "support/test_device.hpp"

namespace rvsweep {
namespace {

using testing::some_tokens;
using testing::Study;
using testing::study_of_everything;
using testing::test_device;

struct Outcome {
  BundleResult result;
  std::vector<at::Tensor> logits;  // [rows, vocab] of every step, on the CPU
};

/// As a rank does it, on a thread of its own.
Outcome run_on(const Placement& placement, Study study,
               const ModelConfig& config = testing::tiny_config(), bool observes_steps = false) {
  const auto run = [&] {
    prepare_thread(placement, 1);
    study.model = testing::tiny_transformer(7, config, placement);
    study.means =
        means_over(study.model, {{{some_tokens(23, 2), some_tokens(25, 8), some_tokens(40, 9)}}});
    Outcome outcome;
    StepObserver observe;
    if (observes_steps)
      observe = [&](std::int64_t, const at::Tensor& x) { outcome.logits.push_back(x.cpu()); };
    outcome.result = study.run(observe);
    return outcome;
  };
  return std::async(std::launch::async, run).get();
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
          if (spec.name.starts_with("r_v")) scale *= scale;  // the error of the ratio's divisor
          for (std::size_t j = i; j < i + width; ++j)
            EXPECT_TRUE(std::isnan(values[j])
                            ? std::isnan(others[j])
                            : std::abs(values[j] - others[j]) <= tolerance * scale)
                << spec.name << " of item " << i / width << ": " << values[j] << ", not "
                << others[j];
        }
      }
    };
    std::visit(check, table.columns[c].values);
  }
}

constexpr double float32_tolerance = 2e-5;

/// float32 here and there: rounding of 1e-6 decides no token of these texts.
void expect_like_cpu(const Study& study) {
  Outcome cpu = run_on({}, study), device = run_on({test_device()}, study);
  expect_all_ok(cpu.result);
  expect_all_ok(device.result);
  expect_close(device.result.prompts, cpu.result.prompts, float32_tolerance);
  expect_close(device.result.rows, cpu.result.rows, float32_tolerance);
}

TEST(OnDevice, SampledRowsOfEveryKindAreTheCpus) { expect_like_cpu(study_of_everything()); }

TEST(OnDevice, GreedyRowsOfEveryKindAreTheCpus) {
  Study study = study_of_everything();
  study.settings.generation.temperature = 0;
  study.add_row(12, 0, 1);  // one that another row gives
  expect_like_cpu(study);
  // How far the likeliest token of any row and step is from the next, and how far logits differ.
  const Outcome cpu = run_on({}, study, testing::tiny_config(), true);
  const Outcome device = run_on({test_device()}, study, testing::tiny_config(), true);
  double margin = 1, difference = 0;
  for (std::size_t t = 0; t < cpu.logits.size(); ++t) {
    const at::Tensor best = std::get<0>(cpu.logits[t].topk(2, -1));
    margin = std::min(margin, (best.select(1, 0) - best.select(1, 1)).min().item<double>());
    const at::Tensor apart = (device.logits[t] - cpu.logits[t]).abs().max();
    difference = std::max(difference, apart.item<double>());
  }
  std::printf("least margin of a token %.1e, logits differ by %.1e\n", margin, difference);
  EXPECT_GT(margin, 4 * difference);
}

TEST(OnDevice, PenalisedRowsAreTheCpus) {
  for (const double temperature : {0.0, 0.7}) {
    Study study({"base", "source", "kv_cache layers=1:3", "v_proj layers=2 decode=persist"});
    study.settings.generation.temperature = temperature;
    study.settings.generation.repetition_penalty = 1.8;
    expect_like_cpu(study);
  }
}

TEST(OnDevice, FilteredSamplesAreTheCpus) {
  Study study({"base", "source", "kv_cache layers=1:3"});
  study.settings.generation.temperature = 0.7;
  study.settings.generation.top_k = 20;
  study.settings.generation.top_p = 0.8;
  expect_like_cpu(study);
}

TEST(OnDevice, BundlesThatMeasurePromptsAloneAreTheCpus) {
  Study study({"base"});
  study.bundle.rows.clear();
  study.bundle.shape.rows = 0;
  expect_like_cpu(study);
}

TEST(OnDevice, RowsWithoutNewTokensAreTheCpus) {
  Study study({"base", "v_proj layers=2", "kv_cache layers=1:3"});
  study.config.generation.max_new_tokens = study.settings.generation.max_new_tokens = 0;
  study.config.readouts = study.settings.readouts = {.reencode = false};
  study.settings.logit_lens_layers.clear();
  expect_like_cpu(study);
}

TEST(OnDevice, TheSecondDeviceGivesTheFirstOnesBits) {
  const Study study = study_of_everything();
  Outcome first = run_on({test_device(0)}, study);
  testing::reset_peak(test_device(0));
  const auto in_use = testing::peak_bytes(test_device(0));
  Outcome second = run_on({test_device(1)}, study);
  EXPECT_EQ(testing::peak_bytes(test_device(0)), in_use);
  expect_close(second.result.prompts, first.result.prompts, 0);
  expect_close(second.result.rows, first.result.rows, 0);
}

/// In 16 bits a token may differ; a row is compared up to there.
class OnDeviceIn16Bits : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(OnDeviceIn16Bits, LogitsOfEveryRowAreTheCpus) {
  ModelConfig config = testing::tiny_config();
  config.head_dim = 16;  // whole multiples of 16 bytes, as fast kernels want them
  Study study = study_of_everything();
  study.settings.generation.temperature = 0;
  study.config.readouts.first_token = study.settings.readouts.first_token = true;
  Outcome cpu = run_on({at::kCPU, GetParam()}, study, config, true);
  Outcome device = run_on({test_device(), GetParam()}, study, config, true);
  expect_all_ok(device.result);
  const double last_place = GetParam() == at::kHalf ? 1.0 / 2048 : 1.0 / 256;  // of 1
  const auto steps = cpu.logits.size(), rows = study.bundle.rows.size();
  std::size_t compared = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t t = 0; t < steps; ++t, ++compared) {
      const at::Tensor of_cpu = cpu.logits[t][r], of_device = device.logits[t][r];
      EXPECT_LT((of_device - of_cpu).abs().max().item<double>(), 64 * last_place)
          << "row " << r << ", step " << t;
      if (column(cpu.result.rows, columns::tokens)[r * steps + t] !=
          column(device.result.rows, columns::tokens)[r * steps + t])
        break;
    }
  }
  std::printf("%zu of %zu steps compared\n", compared, rows * steps);
  EXPECT_GT(compared, rows * steps / 2);
}

INSTANTIATE_TEST_SUITE_P(Types, OnDeviceIn16Bits, ::testing::Values(at::kBFloat16, at::kHalf),
                         [](const auto& type) { return c10::toString(type.param); });

TEST(OnDevice, PassesTheSelfCheck) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const Placement placement{test_device(), dtype};
    const auto checked = self_check(placement, operations_of(placement), /*threads=*/1);
    const CheckedOperation* const failure = first_failure(checked);
    EXPECT_EQ(failure, nullptr) << dtype << ", " << failure->text();
  }
}

TEST(OnDevice, ARowWhoseLogitsAreNotFiniteCostsThatRowOnly) {
  Study study({"base", "kv_cache layers=1:3", "source"});
  study.bundle.derived = {{Derivation::mean, -1, 23}};
  study.bundle.rows[1].donors = {{2}};
  study.model = testing::tiny_transformer(7, testing::tiny_config(), {test_device()});
  study.means = means_over(study.model, {{{some_tokens(23, 2)}}});
  study.means[0].v = study.means[0].v * std::nan("");
  BundleResult result = study.run();
  const auto& status = column(result.rows, columns::status);
  EXPECT_EQ(status, (std::vector<std::int8_t>{0, 2, 0}));
  EXPECT_EQ(column(result.rows, columns::reason)[1],
            "the logits of generated token 1 are not finite numbers");
}

}  // namespace
}  // namespace rvsweep
