#include "kernels/cuda/determinism.hpp"

#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "experiment/sampler.hpp"
#include "experiment/study.hpp"
#include "rvsweep/experiment/mean_donors.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

thread_local int depth = 0;
thread_local std::set<std::string> called;
thread_local std::int64_t fewest_rows_scanned;

/// Notes the operators that this thread calls while it lives, not those that these call in turn.
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
    if (depth++ == 0) called.insert(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
    if (name == "aten::cumsum")
      fewest_rows_scanned = std::min(fewest_rows_scanned, function.inputs()[0].toTensor().size(0));
    return nullptr;
  }
  static void end(const at::RecordFunction&, at::ObserverContext*) { --depth; }
  at::CallbackHandle handle_;
};

/// The tiny model in the one dtype that takes libtorch's table on a CPU, with heads that fused
/// attention takes.
Transformer model_of_the_table() {
  ModelConfig config = testing::tiny_config();
  config.head_dim = 16;
  Transformer model = testing::tiny_transformer(7, config, {at::kCPU, at::kHalf});
  EXPECT_EQ(&model.operations(), &aten_operations());
  return model;
}

/// Every site, growth, component, entry and alignment, and every derived donor.
const std::vector<std::string> arms{"base",
                                    "source",
                                    "v_proj layers=1 decode=prefill,persist",
                                    "v_proj layers=1:3 heads=0 alpha=0.5",
                                    "q_proj layers=2",
                                    "k_proj layers=2",
                                    "z layers=2",
                                    "attn_out layers=2",
                                    "mlp_out layers=2",
                                    "resid_pre layers=2",
                                    "resid_post layers=2",
                                    "kv_cache layers=1:3 growth=append,frozen,compound",
                                    "kv_cache layers=1:3 entry=refeed align=as_is",
                                    "kv_cache layers=1:3 positions=last:8,first:8 what=k,v",
                                    "kv_cache layers=1:3 positions=last:8 heads=0 alpha=0.5",
                                    "preset:notebook_b layers=1",
                                    "preset:notebook_c_v2 layers=1:3"};

testing::Study every_arm() {
  testing::Study study(arms);
  study.model = model_of_the_table();
  const std::int64_t m = 23;
  for (const Derivation derivation :
       {Derivation::zero, Derivation::gaussian, Derivation::shuffled, Derivation::mean})
    study.bundle.derived.push_back(
        {.derivation = derivation, .of = 1, .tokens = m, .cells = m - 1});
  const auto contexts = static_cast<std::int32_t>(study.bundle.contexts.size());
  for (std::int32_t d = 0; d < 4; ++d) {
    const auto arm = std::ranges::find_if(study.settings.arms, &Arm::is_patched);
    study.add_row(static_cast<std::int32_t>(arm - study.settings.arms.begin()), 0, contexts + d);
    study.bundle.rows.back().counterpart = 1;
  }
  study.bundle.shape.rows = canonical_rows(std::ssize(study.bundle.rows));
  return study;
}

BundleResult run(const testing::Study& study) {
  MeanPrompts donors;
  for (auto& side : donors) side.push_back(study.bundle.contexts[1].tokens);
  const MeanDonors means = means_over(study.model, donors);
  const BundleRunner runner{.model = study.model,
                            .tokenizer = study.tokenizer,
                            .settings = study.settings,
                            .prompt_columns = prompt_columns(study.config, study.model.config()),
                            .row_columns = study.columns_of_rows(),
                            .means = means};
  return runner.run(study.bundle);
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
  sample_tokens(aten_operations(), at::zeros({1, 9}), at::zeros({1}, at::kDouble), generation);
}

std::string only_in(const std::set<std::string>& some, const std::set<std::string>& others) {
  std::string names;
  for (const std::string& name : some)
    if (!others.contains(name)) names += name + " ";
  return names;
}

TEST(Determinism, TheTableHoldsTheOperatorsThatBundlesCall) {
  testing::Study study = every_arm();
  std::set<std::string> all;
  for (const double temperature : {0.0, 1.0}) {
    GenerationConfig& generation = study.settings.generation;
    generation.temperature = study.config.generation.temperature = temperature;
    generation.top_k = 20;
    generation.top_p = 0.9;
    const Recorder recorder;
    const BundleResult result = run(study);
    sample_one_row();
    all.insert(called.begin(), called.end());
    const auto& status = column(result.rows, columns::status);
    for (std::size_t r = 0; r < status.size(); ++r)
      EXPECT_EQ(status[r], static_cast<std::int8_t>(RowStatus::ok))
          << r << ": " << column(result.rows, columns::reason)[r];
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
