#include "kernels/cuda/determinism.hpp"

#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "device/everything.hpp"
#include "experiment/sampler.hpp"
#include "rvsweep/experiment/mean_donors.hpp"
#include "support/test_device.hpp"

namespace rvsweep {
namespace {

thread_local int depth = 0;
thread_local std::set<std::string> called;
thread_local std::int64_t fewest_rows_scanned;

bool is_on_device(const c10::IValue& x) {
  if (x.isDevice()) return x.toDevice() == testing::test_device();
  if (x.isTensor()) return x.toTensor().is_privateuseone();
  return x.isTensorList() && !x.toTensorVector().empty() && is_on_device(x.toTensorVector()[0]);
}

/// Notes the operators that this thread calls with a device or its tensors while it lives, not
/// those that these call in turn.
class Recorder {
 public:
  Recorder()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(begin, end)
                                               .needsInputs(true)
                                               .scopes({at::RecordScope::FUNCTION}))) {
    called.clear();
    fewest_rows_scanned = std::numeric_limits<std::int64_t>::max();
  }
  ~Recorder() { at::removeCallback(handle_); }

 private:
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    const std::string name = function.name(), prefix = "aten::";
    if (depth++ == 0 && std::ranges::any_of(function.inputs(), is_on_device))
      called.insert(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
    if (name == "aten::cumsum")
      fewest_rows_scanned = std::min(fewest_rows_scanned, function.inputs()[0].toTensor().size(0));
    return nullptr;
  }
  static void end(const at::RecordFunction&, at::ObserverContext*) { --depth; }
  at::CallbackHandle handle_;
};

ModelConfig usual_config() {
  ModelConfig config = testing::tiny_config();
  config.head_dim = 16;  // heads that fused attention takes
  return config;
}

/// With what calls other operators in some families.
ModelConfig unusual_config() {
  ModelConfig config = usual_config();
  config.norm = NormKind::layer;
  config.activation = Activation::gelu;
  config.embedding_scale = 8;
  config.attention_soft_cap = config.logit_soft_cap = 5;
  return config;
}

BundleResult run(testing::Study study, const ModelConfig& config) {
  study.model = testing::tiny_transformer(7, config, {testing::test_device(), at::kHalf});
  study.means = means_over(study.model, {{{study.bundle.contexts[1].tokens}}});
  return study.run();
}

std::set<std::string> operators_in_the_table() {
  std::set<std::string> names;
  for (const auto& group : cuda::repeatable_operators)
    for (const std::string_view name : group.names)
      EXPECT_TRUE(names.emplace(name).second) << name << " is there twice";
  return names;
}

void sample_one_row() {
  GenerationConfig generation;
  generation.temperature = 1;
  generation.top_p = 0.5;
  const auto on_device = at::TensorOptions().device(testing::test_device());
  sample_tokens(aten_operations(), at::zeros({1, 9}, on_device),
                at::zeros({1}, on_device.dtype(at::kDouble)), generation);
}

std::string only_in(const std::set<std::string>& some, const std::set<std::string>& others) {
  std::string names;
  for (const std::string& name : some)
    if (!others.contains(name)) names += name + " ";
  return names;
}

TEST(Determinism, TheTableHoldsTheOperatorsThatBundlesCall) {
  testing::Study study = testing::study_of_everything();
  std::set<std::string> all;
  for (const double temperature : {0.0, 1.0}) {
    GenerationConfig& generation = study.settings.generation;
    generation.temperature = study.config.generation.temperature = temperature;
    generation.top_k = 20;
    generation.top_p = 0.9;
    for (const ModelConfig& config : {usual_config(), unusual_config()}) {
      const Recorder recorder;
      const BundleResult result = run(study, config);
      sample_one_row();
      all.insert(called.begin(), called.end());
      const auto& status = column(result.rows, columns::status);
      for (std::size_t r = 0; r < status.size(); ++r)
        EXPECT_EQ(status[r], static_cast<std::int8_t>(RowStatus::ok))
            << r << ": " << column(result.rows, columns::reason)[r];
    }
  }
  const std::set<std::string> known = operators_in_the_table();
  EXPECT_EQ(only_in(all, known), "") << "called, and not in the table";
  EXPECT_EQ(only_in(known, all), "") << "in the table, and not called";
}

TEST(Determinism, ASingleRowIsNeverScanned) {
  const Recorder recorder;
  sample_one_row();
  EXPECT_TRUE(called.contains("cumsum"));
  EXPECT_GT(fewest_rows_scanned, 1);
}

}  // namespace
}  // namespace rvsweep
