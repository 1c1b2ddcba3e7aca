#include <ATen/TensorOperators.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/options.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/experiment/bundle_runner.hpp"
#include "rvsweep/experiment/directions.hpp"
#include "rvsweep/experiment/mean_donors.hpp"
#include "rvsweep/experiment/natural_states.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/storage/segment.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "rvsweep/sweep/identity.hpp"
#include "rvsweep/sweep/launch.hpp"
#include "rvsweep/sweep/load_model.hpp"
#include "rvsweep/sweep/setup.hpp"

namespace rvsweep {
namespace {

/// 16 hexadecimal digits, as `rvsweep plan --list` writes them, or the decimal number of /rows.
std::uint64_t parse_row_id(const std::string& text) {
  const auto id = parse_number<std::uint64_t>(text, text.size() == 16 ? 16 : 10);
  if (!id)
    throw InputError("--row " + text, "is no row id",
                     "give the 16 hexadecimal digits of `rvsweep plan --list`");
  return *id;
}

/// The place of the row in plan order. Throws InputError where it cannot be computed again.
std::size_t place_of_row(const StoredSweep& sweep, std::uint64_t id, const std::string& folder) {
  const auto& ids = sweep.rows.row_id;
  const auto found = std::ranges::find(ids, id);
  if (found == ids.end())
    throw InputError(folder, "has no row " + hex(id), "`rvsweep plan --list` lists the row ids");
  const auto place = static_cast<std::size_t>(found - ids.begin());
  if (sweep.row_bundle[place] == no_bundle)
    throw InputError("row " + hex(id), "was refused: " + std::string(sweep.rows.reason[place]));
  return place;
}

/// One item of a table: column by column.
struct Item {
  const ItemTable& table;
  std::int64_t at = 0;

  /// Null where the table has no such column.
  template <class T>
  const T* values(ColumnKey<T> key) const {
    for (const Column& column : table.columns)
      if (column.spec.name == key.name)
        return std::get<std::vector<T>>(column.values).data() + at * item_size(column.spec);
    return nullptr;
  }
};

/// Bits, so that NaN equals NaN and 0 does not equal -0.
template <class T>
bool same_bits(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>)
    return std::memcmp(&a, &b, sizeof a) == 0;
  else
    return a == b;
}

/// Columns whose bits differ, one line each with the first element that does.
std::vector<std::string> bit_differences(const Item& stored, const Item& now) {
  std::vector<std::string> lines;
  for (std::size_t c = 0; c < now.table.columns.size(); ++c) {
    const ColumnSpec& spec = now.table.columns[c].spec;
    const std::int64_t size = item_size(spec);
    std::visit(
        [&](const auto& all) {
          using Values = std::decay_t<decltype(all)>;
          const auto& before = std::get<Values>(stored.table.columns[c].values);
          for (std::int64_t k = 0; k < size; ++k) {
            const auto& was = before[static_cast<std::size_t>(stored.at * size + k)];
            const auto& is = all[static_cast<std::size_t>(now.at * size + k)];
            if (same_bits(was, is)) continue;
            lines.push_back(fmt::format("{}[{}]: stored {}, now {}", spec.name, k, was, is));
            return;
          }
        },
        now.table.columns[c].values);
  }
  return lines;
}

void print_row(const Plan& plan, std::size_t place, const Bundle& bundle, const Item& item) {
  const PlannedRow& row = plan.rows[place];
  const Arm& arm = plan.arms.at(static_cast<std::size_t>(row.arm.value));
  std::cout << fmt::format(
      "row       {}: pair {}, arm {}, sample {}\n          {}\n"
      "bundle    {}, slot {} of {} ({} contexts of {} columns)\n",
      hex(row.id.value), plan.pairs.at(static_cast<std::size_t>(row.pair.value)).id, arm.label,
      row.sample, arm.canonical(), bundle.id.value, item.at, bundle.shape.rows,
      bundle.shape.contexts, bundle.shape.prompt_length);
}

/// What the patches wrote in all; of one patch at each layer too where all have the same share.
void print_patch(const Arm& arm, const Item& row) {
  if (!arm.is_patched()) return;
  const auto changed = *row.values(columns::cells_changed);
  const LayerSet& layers = arm.patches.front().layers;
  std::string each;
  if (arm.patches.size() == 1 && changed % std::ssize(layers) == 0)
    each = fmt::format(", {} at each of layers {}", changed / std::ssize(layers),
                       format_layers(layers));
  std::cout << fmt::format(
      "patch     {} cells written{}; {} dropped; norm of the change {:.6g}; "
      "{} future keys\n",
      changed, each, *row.values(columns::cells_dropped), *row.values(columns::change_norm),
      *row.values(columns::future_keys));
}

std::int64_t slot_of(const Bundle& bundle, std::int64_t row) {
  const auto found = std::ranges::find(bundle.rows, RowIndex(row), &BundleRow::row);
  RVSWEEP_EXPECT(found != bundle.rows.end(), "the bundle holds its row");
  return found - bundle.rows.begin();
}

/// Keeps one row's log-probabilities of every step in `steps`, float32 [vocab] each.
StepObserver keep_of_slot(std::int64_t slot, std::vector<at::Tensor>& steps) {
  return [slot, &steps](std::int64_t, const at::Tensor& logits) {
    steps.push_back(logits[slot].log_softmax(-1).to(at::kCPU).contiguous());
  };
}

/// The tokens of a text as one JSON string, whatever bytes they hold.
std::string quoted(const Tokenizer& tokenizer, std::int32_t token) {
  return nlohmann::json(tokenizer.decode({&token, 1}))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// "the" -0.52, "a" -1.37, ...: the five likeliest tokens, at temperature 1.
std::string likeliest(const Tokenizer& tokenizer, const at::Tensor& log_probabilities) {
  const auto [values, indices] = log_probabilities.topk(5);
  std::string text;
  for (std::int64_t i = 0; i < 5; ++i)
    text += fmt::format(
        "{}{} {:.3f}", i == 0 ? "" : ", ",
        quoted(tokenizer, static_cast<std::int32_t>(indices.const_data_ptr<std::int64_t>()[i])),
        values.const_data_ptr<float>()[i]);
  return text;
}

/// One line per step, none where none is taken: token id, its log-probability (temperature 1) and,
/// with step_trace, the participation ratio of the sliding window at the early and the late layer,
/// then the token's text and the likeliest tokens.
void print_steps(const SweepSettings& settings, const Tokenizer& tokenizer,
                 const std::vector<at::Tensor>& steps, const Item& row) {
  const auto max_new = settings.generation.max_new_tokens;
  if (max_new == 0) return;
  const std::int32_t* tokens = row.values(columns::tokens);
  const float* pr = row.values(columns::step_pr);  // [L, max_new]
  std::cout << fmt::format("{:>8} {:>8} {:>9}  {}text, then the likeliest tokens\n", "step",
                           "token", "log p", pr != nullptr ? "PR early   PR late  " : "");
  for (std::int64_t step = 0; step < *row.values(columns::n_generated); ++step) {
    const at::Tensor& log_probabilities = steps.at(static_cast<std::size_t>(step));
    std::string window;
    if (pr != nullptr)
      window = fmt::format("{:>8.4f}  {:>8.4f}  ", pr[settings.early_layer * max_new + step],
                           pr[settings.late_layer * max_new + step]);
    std::cout << fmt::format("{:>8} {:>8} {:>9.4f}  {}{}  of  {}\n", step + 1, tokens[step],
                             log_probabilities.const_data_ptr<float>()[tokens[step]], window,
                             quoted(tokenizer, tokens[step]),
                             likeliest(tokenizer, log_probabilities));
  }
  std::cout << "ended     by " << *row.values(columns::stop_reason) << "\n";
}

/// What of this machine and this program is not as it was when the sweep ran.
void tell_differences(const SweepIdentity& stored, const SweepSetup& setup) {
  SweepIdentity now = identity_of(setup, stored.threads);
  add_model_fingerprint(setup, now);
  for (const Difference& difference : differences(stored, now)) {
    if (difference.key == "model_fingerprint" || difference.key == "tokenizer_fingerprint")
      throw InputError(setup.config.model_path.string(),
                       "is not the model of the sweep: " + difference.text(),
                       "name its folder with --model");
    spdlog::warn("{}: the bits may differ", difference.text());
  }
}

/// Whether the row has the bits that the segment has.
ExitCode tell_bits(const Item& stored, const Item& now) {
  const auto columns = now.table.columns.size();
  const auto lines = bit_differences(stored, now);
  if (lines.empty()) {
    std::cout << "bits      identical in all " << columns << " columns\n";
    return exit_done;
  }
  std::cout << "bits      differ in " << lines.size() << " of " << columns << " columns\n";
  for (const auto& line : lines) std::cout << "  " << line << "\n";
  return exit_bits_differ;
}

int replay(const std::string& folder, std::uint64_t id, const std::string& model_folder) {
  const StoredSweep stored = read_plan_file(folder);
  const std::size_t place = place_of_row(stored, id, folder);
  const SweepIdentity identity = stored_identity(stored);
  ConfigValues values = read_config_text(config_text(identity.config), folder + "/plan.h5");
  if (!model_folder.empty()) values["model.path"] = {{model_folder, "--model"}};
  const SweepSetup setup = prepare_sweep(
      values, {identity.device, identity.dtype, static_cast<double>(identity.device_memory)},
      &stored);
  tell_differences(identity, setup);
  const Bundle bundle = complete_bundle(setup.plan, BundleId(stored.row_bundle[place]));
  const auto segment = segment_file(folder, bundle.id);
  const bool computed = std::filesystem::exists(segment);
  if (computed)
    if (const auto checked = check_segment(segment, stored.segment_fingerprint());
        const auto* problem = std::get_if<std::string>(&checked))
      throw InputError(segment.string(), *problem, "run the sweep again to compute it anew");

  Launch launch;
  add_experiment(setup, launch);
  SweepSettings settings = sweep_settings(setup.config, setup.model, setup.tokenizer, launch);
  const Placement placement = place_rank(setup.target.device, setup.target.dtype, 0);
  prepare_thread(placement, identity.threads);
  const World alone;
  const Transformer model =
      load_on_every_rank(alone, setup.model, setup.weights, placement, identity.threads);
  settings.directions = directions_of(model, settings.arms, settings.seed, launch.direction_files,
                                      launch.direction_prompts);
  const std::int64_t slot = slot_of(bundle, stored.number_of_row(place));
  std::vector<at::Tensor> steps;
  const BundleRunner runner{
      .model = model,
      .tokenizer = setup.tokenizer,
      .settings = settings,
      .prompt_columns = stored.prompt_columns,
      .row_columns = stored.row_columns,
      .means = means_over(model, setup.plan.mean_prompts),
      .natural = natural_states(model, setup.plan.natural_prompts, settings.state_distance_layers),
      .observe_step = keep_of_slot(slot, steps)};
  const BundleResult result = runner.run(bundle);
  const ItemTable rows = as_stored(result.rows);
  const Item now{rows, slot};

  print_row(setup.plan, place, bundle, now);
  print_patch(setup.plan.arms.at(static_cast<std::size_t>(stored.rows.arm[place])), now);
  if (const std::string& reason = *now.values(columns::reason); !reason.empty())
    std::cout << "failed    " << reason << "\n";
  else
    print_steps(settings, setup.tokenizer, steps, now);
  if (!computed) {
    std::cout << "bits      nothing to compare with: the sweep has not computed this row yet\n";
    return exit_done;
  }
  const ItemTable before = read_segment_table(segment, SegmentTable::rows, stored.row_columns);
  RVSWEEP_EXPECT(before.index == rows.index, "a segment holds its bundle's rows in order");
  return tell_bits({before, slot}, now);
}

}  // namespace

int replay_command(const Arguments& arguments) {
  po::options_description all("Replay");
  all.add_options()("dir", po::value<std::string>(), "folder of the sweep")(
      "row,r", po::value<std::string>(), "id of the row, as `rvsweep plan --list` writes it")(
      "model,m", po::value<std::string>()->default_value(""),
      "the model's folder where it is no longer the one of the configuration");
  const auto options =
      parse_options(arguments, all, "replay DIR --row ID [--model M]", "dir", {"row"});
  if (!options) return exit_done;
  return replay((*options)["dir"].as<std::string>(),
                parse_row_id((*options)["row"].as<std::string>()),
                (*options)["model"].as<std::string>());
}

}  // namespace rvsweep
