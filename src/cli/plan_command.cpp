#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/length_report.hpp"
#include "cli/machine_plan.hpp"
#include "cli/options.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/plan/memory_budget.hpp"
#include "rvsweep/sweep/progress.hpp"
#include "rvsweep/sweep/setup.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;

/// Assumed speed of one CPU core or GPU in the time estimate, floating-point operations per second.
double assumed_rate(const std::string& device, const std::string& dtype) {
  if (device == "cuda") return 1e14;
  return dtype == "bfloat16" ? 1.5e11 : 5e10;
}

std::string gigabytes(double bytes) { return fmt::format("{:.2f} GB", bytes / 1e9); }

MemoryBudget memory_of(const SweepSetup& setup) {
  return {weight_memory(setup.model, setup.device, setup.dtype),
          bundle_bytes(setup.model, setup.dtype, setup.plan.bundles,
                       setup.config.generation.max_new_tokens)};
}

/// Floating-point operations of all bundles.
double flops_of(const SweepSetup& setup) {
  const auto parameters = weight_bytes(setup.model, setup.dtype) / dtype_bytes(setup.dtype);
  double tokens = 0;
  for (const PlannedBundle& bundle : setup.plan.bundles) tokens += bundle.cost;
  return 2 * static_cast<double>(parameters) * tokens;
}

void print_rows(const Plan& plan) {
  for (const PlannedRow& row : plan.rows) {
    const PromptPair& pair = plan.pairs[row.pair.value];
    const PlannedPrompt& source = plan.prompts[pair.source.value];
    const PlannedPrompt& base = plan.prompts[pair.base.value];
    nlohmann::ordered_json line{{"row_id", hex(row.id.value)},
                                {"pair", pair.id},
                                {"source", plan.prompt_ids[pair.source.value]},
                                {"base", plan.prompt_ids[pair.base.value]},
                                {"source_tokens", source.n_tokens},
                                {"base_tokens", base.n_tokens},
                                {"arm", plan.arms[row.arm.value].label},
                                {"spec", plan.arms[row.arm.value].canonical()},
                                {"sample", row.sample},
                                {"status", row.refusal == 0 ? "planned" : "refused"}};
    if (row.refusal != 0) line["reason"] = plan.refusal(row);
    std::cout << line.dump() << "\n";
  }
}

void print_refusals(const Plan& plan) {
  std::map<std::string, std::int64_t> reasons;
  for (const PlannedRow& row : plan.rows)
    if (row.refusal != 0)
      ++reasons["arm " + plan.arms[row.arm.value].label + ": " + plan.refusal(row)];
  for (const auto& [reason, rows] : reasons)
    std::cout << "  refused  " << rows << " x " << reason << "\n";
  for (std::size_t p = 0; p < plan.prompts.size(); ++p)
    if (const std::string& refusal = plan.refusal(plan.prompts[p]); !refusal.empty())
      std::cout << "  no geometry  prompt " << plan.prompt_ids[p] << ": " << refusal << "\n";
}

void print_summary(const SweepSetup& setup) {
  const Plan& plan = setup.plan;
  std::cout << fmt::format(
      "model     {} ({} layers, early {}, late {}), {} on {}\n"
      "pairs     {}\n{}arms      {}\n",
      setup.config.model_path.string(), setup.model.n_layers, plan.early_layer, plan.late_layer,
      setup.dtype, setup.device, plan.pairs.size(), length_report(plan), plan.arms.size());
  for (const Arm& arm : plan.arms)
    std::cout << "  " << arm.label << "  =  " << arm.canonical() << "\n";
  std::cout << fmt::format("rows      {} ({} refused)\nbundles   {} of up to {} rows\n",
                           plan.rows.size(), plan.n_refused(), plan.bundles.size(),
                           plan.bundle_rows);
  print_refusals(plan);
  const MemoryBudget memory = memory_of(setup);
  std::cout << fmt::format(
      "memory    {} of weights and about {} for the largest bundle, per rank\n",
      gigabytes(memory.weights), gigabytes(memory.bundle));
  const double rate = assumed_rate(setup.device, setup.dtype);
  std::cout << fmt::format("time      about {} on one {} at an assumed {:.0f} GFLOP/s\n",
                           clock_text(flops_of(setup) / rate),
                           setup.device == "cuda" ? "GPU" : "CPU core", rate / 1e9);
}

/// The words that name the sweep, for the suggested command line.
std::vector<std::string> sweep_words(const po::variables_map& options) {
  std::vector<std::string> words;
  for (const char* name : {"config", "set"})
    if (options.contains(name))
      for (const auto& value : options[name].as<std::vector<std::string>>()) {
        words.push_back("--" + std::string(name));
        words.push_back(value);
      }
  for (const char* name : {"device", "dtype"})
    if (options.contains(name)) {
      words.push_back("--" + std::string(name));
      words.push_back(options[name].as<std::string>());
    }
  words.insert(words.end(), {"--out", "DIR"});
  return words;
}

void print_suggestion(const SweepSetup& setup, const Machine& machine,
                      const std::vector<std::string>& words) {
  const Suggestion best =
      suggest(machine, {.rows = std::ssize(setup.plan.rows) - setup.plan.n_refused(),
                        .bundles = std::ssize(setup.plan.bundles),
                        .flops = flops_of(setup),
                        .memory = memory_of(setup)});
  std::cout << fmt::format(
      "machine   {}: {} node{} with {} rank{} each, {} cores a rank, {} a node\n", machine.name,
      best.nodes, best.nodes == 1 ? "" : "s", best.ranks_per_node,
      best.ranks_per_node == 1 ? "" : "s", best.cores_per_rank, gigabytes(best.memory_per_node));
  std::cout << fmt::format(
      "          {} a job{}\n", clock_text(best.seconds),
      best.starts == 1
          ? ""
          : fmt::format(", about {} starts, one after the other by itself", best.starts));
  std::cout << "submit    " << sbatch_line(machine, best, words) << "\n";
}

}  // namespace

int plan_command(const Arguments& arguments) {
  auto all = sweep_options();
  po::options_description here("The plan");
  here.add_options()("list", po::bool_switch(), "one JSON line per row instead of the summary")(
      "machine", po::value<std::string>(),
      "file that describes a cluster (configs/machines): suggests nodes, ranks, time and memory");
  all.add(here);
  const auto options =
      parse_options(arguments, all, "plan --config F... [--set key=value] [--list] [--machine F]");
  if (!options) return exit_done;
  const ConfigValues values = config_of(*options);
  if ((*options)["dump-config"].as<bool>()) {
    std::cout << dump_config(values);
    return exit_done;
  }
  std::optional<Machine> machine;
  if (options->contains("machine")) machine = read_machine((*options)["machine"].as<std::string>());
  const SweepSetup setup = prepare_sweep(values, "", "", nullptr, Texts::forgotten);
  if ((*options)["list"].as<bool>())
    print_rows(setup.plan);
  else
    print_summary(setup);
  if (machine) print_suggestion(setup, *machine, sweep_words(*options));
  return exit_done;
}

}  // namespace rvsweep
