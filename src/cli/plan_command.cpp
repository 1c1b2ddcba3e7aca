#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/length_report.hpp"
#include "cli/machine_plan.hpp"
#include "cli/options.hpp"
#include "cli/study_report.hpp"
#include "rvsweep/core/cores.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/kernels/hardware.hpp"
#include "rvsweep/plan/bundle_needs.hpp"
#include "rvsweep/plan/memory_budget.hpp"
#include "rvsweep/plan/time_estimate.hpp"
#include "rvsweep/sweep/progress.hpp"
#include "rvsweep/sweep/setup.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;

/// Of one core of this CPU, measured, or of a GPU, assumed.
Speed speed_of(const Target& target) {
  if (target.device == "cuda") return {.products = 1e14, .attention = 5e13, .reads = 1e12};
  const auto [products, attention, reads] =
      measure_core(target.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat);
  return {products, attention, reads};
}

std::string gigabytes(double bytes) { return fmt::format("{:.2f} GB", bytes / 1e9); }

/// Of the bundle that takes most.
struct PlannedMemory {
  MemoryBudget budget;
  BundleShape shape;
};

BundleNeeds needs_of(const SweepSetup& setup) {
  return bundle_needs(setup.model, setup.config, setup.plan.arms, setup.plan.tokens_after_window,
                      setup.target.device, setup.target.dtype);
}

PlannedMemory memory_of(const SweepSetup& setup) {
  const Plan& plan = setup.plan;
  const auto& [device, dtype, memory] = setup.target;
  const BundleNeeds needs = needs_of(setup);
  PlannedMemory most{{weight_memory(setup.model, device, dtype), {}}, {}};
  for (const PlannedBundle& bundle : plan.bundles) {
    const BundleMemory of = bundle_memory(needs, bundle.shape, std::ssize(bundle.derived));
    if (of.total() > most.budget.bundle.total()) most = {{most.budget.weights, of}, bundle.shape};
  }
  return most;
}

double total_memory(const SweepSetup& setup, const MemoryBudget& budget) {
  return setup.target.device == "cuda" ? budget.gpu() : budget.cores();
}

/// Floating-point operations of all bundles.
double flops_of(const SweepSetup& setup) {
  const auto parameters = weight_bytes(setup.model, "float32") / dtype_bytes("float32");
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

void print_equal_pairs(const Plan& plan) {
  const auto text_of = [&](PromptIndex prompt) {
    return plan.prompts[static_cast<std::size_t>(prompt.value)].text_hash;
  };
  const auto equal = [&](const PromptPair& pair) {
    return text_of(pair.source) == text_of(pair.base);
  };
  if (const auto n = std::ranges::count_if(plan.pairs, equal); n > 0)
    std::cout << fmt::format("  {} pairs have a source equal to their base, such as {}\n", n,
                             std::ranges::find_if(plan.pairs, equal)->id);
}

/// Their number and labels, as many a line as fit.
void print_arms(const Plan& plan) {
  constexpr std::size_t width = 100;
  std::string line = fmt::format("arms      {}:", plan.arms.size());
  for (const Arm& arm : plan.arms) {
    const std::string label = ' ' + arm.label + (&arm == &plan.arms.back() ? "" : ",");
    if (line.size() + label.size() > width) {
      std::cout << line << "\n";
      line.assign(9, ' ');
    }
    line += label;
  }
  std::cout << line << "\n";
}

void print_arm_specs(const Plan& plan) {
  for (const Arm& arm : plan.arms) std::cout << arm.label << "  =  " << arm.canonical() << "\n";
}

void print_memory(const SweepSetup& setup) {
  const auto& [budget, shape] = memory_of(setup);
  const BundleMemory& bundle = budget.bundle;
  const bool gpu = setup.target.device == "cuda";
  std::cout << fmt::format(
      "memory    {} of weights{}, and in the largest bundle ({} prompts in {} "
      "columns, {} rows)\n          {} of contexts, {} of rows, {} of "
      "temporaries ({})",
      gigabytes(budget.weights), gpu ? "" : " for all ranks of a node", shape.contexts,
      shape.prompt_length, shape.rows, gigabytes(bundle.contexts), gigabytes(bundle.rows),
      gigabytes(bundle.temporaries), bundle.phase);
  std::cout << (gpu ? fmt::format(", {} of CUDA's\n          {} of the {} of a GPU\n",
                                  gigabytes(budget.gpu_overhead()), gigabytes(budget.gpu()),
                                  gigabytes(setup.target.memory))
                    : fmt::format(
                          ", {} of the program\n          {} of one rank with the weights\n",
                          gigabytes(budget.cores_overhead()), gigabytes(budget.cores())));
}

void print_summary(const SweepSetup& setup) {
  const Plan& plan = setup.plan;
  std::cout << fmt::format(
      "model     {} ({} layers, early {}, late {}), {} on {}\n"
      "family    {}\n"
      "pairs     {}\n{}",
      setup.config.model_path.string(), setup.model.n_layers, plan.early_layer, plan.late_layer,
      setup.target.dtype, setup.target.device, setup.model.description, plan.pairs.size(),
      length_report(plan));
  print_arms(plan);
  std::cout << fmt::format("rows      {} ({} refused)\nbundles   {} of up to {} rows\n",
                           plan.rows.size(), plan.n_refused(), plan.bundles.size(),
                           plan.bundle_rows);
  print_refusals(plan);
  print_equal_pairs(plan);
  std::cout << study_report(plan, setup.config.study);
  print_memory(setup);
  const bool gpu = setup.target.device == "cuda";
  const Speed speed = speed_of(setup.target);
  std::cout << fmt::format(
      "time      about {} on one {} {} {:.0f} GFLOP/s in products, {:.0f} in attention and {:.0f} "
      "GB/s\n",
      clock_text(seconds_of(plan, needs_of(setup), speed)), gpu ? "GPU" : "core of this CPU",
      gpu ? "at an assumed" : "at its measured", speed.products / 1e9, speed.attention / 1e9,
      speed.reads / 1e9);
  const int cores = cores_for_node(given_cores(std::getenv));
  if (setup.target.device == "cpu" && cores > 1)
    std::cout << fmt::format(
        "start     mpirun --bind-to none -n {} rvsweep run ...: ranks that mpirun binds may use "
        "few of this machine's {} cores\n",
        std::min<std::int64_t>(cores, std::max<std::int64_t>(1, std::ssize(plan.bundles))), cores);
}

void print_json(const SweepSetup& setup) {
  const Plan& plan = setup.plan;
  const auto& [device, dtype, device_memory] = setup.target;
  const auto& [budget, shape] = memory_of(setup);
  nlohmann::ordered_json memory{
      {"weights", budget.weights},    {"contexts", budget.bundle.contexts},
      {"rows", budget.bundle.rows},   {"temporaries", budget.bundle.temporaries},
      {"phase", budget.bundle.phase}, {"total", total_memory(setup, budget)}};
  if (device == "cuda") {
    memory["cuda"] = budget.gpu_overhead();
    memory["device_memory"] = device_memory;
  } else {
    memory["program"] = budget.cores_overhead();
  }
  const StudyLimits limits = study_limits(plan, setup.config.study);
  const nlohmann::ordered_json all{
      {"model", setup.config.model_path.string()},
      {"device", device},
      {"dtype", dtype},
      {"pairs", plan.pairs.size()},
      {"arms", plan.arms.size()},
      {"rows", plan.rows.size()},
      {"refused", plan.n_refused()},
      {"study",
       {{"tested_arms", limits.arms},
        {"pairs", limits.pairs},
        {"smallest_p", limits.smallest_p},
        {"equivalence_pairs", limits.equivalence_pairs}}},
      {"bundles", plan.bundles.size()},
      {"bundle_rows", plan.bundle_rows},
      {"largest_bundle",
       {{"prompts", shape.contexts}, {"columns", shape.prompt_length}, {"rows", shape.rows}}},
      {"memory", memory},
      {"seconds", seconds_of(plan, needs_of(setup), speed_of(setup.target))}};
  std::cout << all.dump() << "\n";
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
  for (const char* name : {"device", "dtype", "device-memory"})
    if (options.contains(name)) {
      words.push_back("--" + std::string(name));
      words.push_back(options[name].as<std::string>());
    }
  if (options.contains("random-weights"))
    words.push_back("--random-weights=" + options["random-weights"].as<std::string>());
  words.insert(words.end(), {"--out", "DIR"});
  return words;
}

void print_suggestion(const SweepSetup& setup, const Machine& machine,
                      const std::vector<std::string>& words) {
  const Suggestion best =
      suggest(machine, {.rows = std::ssize(setup.plan.rows) - setup.plan.n_refused(),
                        .bundles = std::ssize(setup.plan.bundles),
                        .flops = flops_of(setup),
                        .memory = memory_of(setup).budget});
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

/// A GPU that is planned for need not be here: its memory is `machine`'s or was given.
Target target_of(const ConfigValues& values, const std::optional<Machine>& machine) {
  const SweepConfig config = parse_sweep_config(values);
  Target target;
  if (machine && machine->gpus_per_node > 0) target.memory = machine->memory_per_gpu;
  if (machine && config.device == "auto") target.device = target.memory > 0 ? "cuda" : "cpu";
  if (config.device != "cuda") return target;
  target.device = "cuda";
  if (config.device_memory == 0 && target.memory == 0 && resolve_device("auto") != "cuda")
    throw InputError("run.device_memory", "is auto, and this machine has no GPU to ask",
                     "plan for one elsewhere, for example with --device-memory 80GB");
  return target;
}

}  // namespace

int plan_command(const Arguments& arguments) {
  auto all = sweep_options();
  po::options_description here("The plan");
  here.add_options()("list", po::bool_switch(), "one JSON line per row instead of the summary")(
      "arms", po::bool_switch(), "every arm with all its settings instead of the summary")(
      "json", po::bool_switch(), "the summary as one JSON object, sizes in bytes")(
      "machine", po::value<std::string>(),
      "file that describes a cluster (configs/machines): suggests nodes, ranks, time and memory");
  all.add(here);
  const auto options = parse_options(
      arguments, all,
      "plan --config F... [--set key=value] [--list] [--arms] [--json] [--machine F]");
  if (!options) return exit_done;
  const ConfigValues values = config_of(*options);
  if ((*options)["dump-config"].as<bool>()) {
    std::cout << dump_config(values);
    return exit_done;
  }
  std::optional<Machine> machine;
  if (options->contains("machine")) machine = read_machine((*options)["machine"].as<std::string>());
  const SweepSetup setup =
      prepare_sweep(values, target_of(values, machine), nullptr, Texts::forgotten);
  if ((*options)["list"].as<bool>())
    print_rows(setup.plan);
  else if ((*options)["arms"].as<bool>())
    print_arm_specs(setup.plan);
  else if ((*options)["json"].as<bool>())
    print_json(setup);
  else
    print_summary(setup);
  if (machine) print_suggestion(setup, *machine, sweep_words(*options));
  return exit_done;
}

}  // namespace rvsweep
