#include "rvsweep/storage/verify.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/items_of_bundle.hpp"
#include "storage/plan_layout.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using h5::Handle;

void add(std::vector<std::string>& lines, const fs::path& file, const std::string& finding) {
  lines.push_back(file.string() + ": " + finding);
}

/// Digest and every dataset. True when both are sound.
bool check_bytes(const fs::path& file, FileKind kind, VerifyReport& report) {
  ++report.files;
  const std::size_t before = report.damage.size();
  if (const auto problem = verify_checked_file(file, kind)) {
    add(report.damage, file, *problem);
    for (const std::string& finding : locate_damage(file)) add(report.damage, file, finding);
    return false;
  }
  try {
    for (const std::string& finding : unreadable_datasets(file)) add(report.damage, file, finding);
  } catch (const std::exception& error) {
    add(report.damage, file, error.what());
  }
  return report.damage.size() == before;
}

void check_row_ids(const fs::path& file, std::vector<std::uint64_t> ids, VerifyReport& report) {
  std::sort(ids.begin(), ids.end());
  for (auto twice = std::adjacent_find(ids.begin(), ids.end()); twice != ids.end();
       twice = std::adjacent_find(std::upper_bound(twice, ids.end(), *twice), ids.end())) {
    add(report.damage, file, "row id " + hex(*twice) + " occurs more than once");
  }
}

struct ResultRows {
  std::uint64_t fingerprint = 0;
  std::vector<std::uint64_t> ids;
  std::int64_t pending = 0;
};

std::optional<ResultRows> check_results(const fs::path& file, VerifyReport& report) {
  if (!check_bytes(file, FileKind::results, report)) return std::nullopt;
  try {
    const Handle opened = h5::open_file(file);
    ResultRows rows;
    rows.fingerprint = h5::read_uint_attribute(opened, "sweep_fingerprint");
    rows.ids = read_row_ids(opened);
    const auto status =
        h5::read_values<std::int8_t>(h5::open_group(opened, "rows"), planned_status_column());
    rows.pending = std::ranges::count(status, static_cast<std::int8_t>(RowStatus::pending));
    check_row_ids(file, rows.ids, report);
    if (rows.pending > 0)
      add(report.notes, file, std::to_string(rows.pending) + " rows pending (a partial merge)");
    return rows;
  } catch (const std::exception& error) {
    add(report.damage, file, error.what());
    return std::nullopt;
  }
}

std::optional<OpenPlan> check_plan(const fs::path& sweep_folder, VerifyReport& report) {
  const fs::path file = plan_file(sweep_folder);
  if (!fs::exists(file)) {
    add(report.damage, file, "is missing");
    return std::nullopt;
  }
  if (!check_bytes(file, FileKind::plan, report)) return std::nullopt;
  try {
    OpenPlan plan = open_plan(sweep_folder);
    check_row_ids(file, read_row_ids(plan.file), report);
    return plan;
  } catch (const std::exception& error) {
    report.damage.push_back(error.what());
    return std::nullopt;
  }
}

/// Which bundles have a segment with exactly their items. Without a plan, when it is damaged, bytes
/// are checked all the same.
std::vector<bool> check_segments(const fs::path& sweep_folder, const std::optional<OpenPlan>& plan,
                                 VerifyReport& report) {
  std::vector<bool> sound(plan ? static_cast<std::size_t>(plan->items.n_bundles) : 0);
  std::optional<ItemsOfBundle> planned;
  if (plan) planned.emplace(plan->items);
  for (const fs::path& file : list_folder(segments_folder(sweep_folder))) {
    const auto bundle = bundle_of_segment_name(file.filename().string());
    if (!bundle) {
      add(report.notes, file, "is no segment of this sweep and is not used");
      continue;
    }
    if (!check_bytes(file, FileKind::segment, report) || !plan) continue;
    const auto checked = check_segment(file, plan->facts.segment_fingerprint());
    if (const auto* problem = std::get_if<std::string>(&checked))
      add(report.damage, file, *problem);
    else if (const auto odd = items_problem(std::get<SoundSegment>(checked), *planned))
      add(report.damage, file, *odd);
    else
      sound[static_cast<std::size_t>(bundle->value)] = true;
  }
  return sound;
}

void count_rows(const BundleOfItem& items, const std::vector<bool>& sound, VerifyReport& report) {
  report.rows = items.n_rows();
  for (std::int32_t bundle : items.row_bundle) {
    const bool present = bundle == no_bundle || sound[static_cast<std::size_t>(bundle)];
    ++(present ? report.rows_present : report.rows_missing);
  }
  const auto missing = std::count(sound.begin(), sound.end(), false);
  if (missing > 0)
    report.notes.push_back(fmt::format(
        "{} of {} bundles ({} rows) have no sound segment: run the sweep again to compute them",
        missing, items.n_bundles, report.rows_missing));
}

void verify_folder(const fs::path& sweep_folder, VerifyReport& report) {
  const std::optional<OpenPlan> plan = check_plan(sweep_folder, report);
  const std::vector<bool> sound = check_segments(sweep_folder, plan, report);
  if (plan) count_rows(plan->items, sound, report);
  const fs::path results = results_file(sweep_folder);
  if (!fs::exists(results)) {
    add(report.notes, results, "is not there yet");
    return;
  }
  const std::optional<ResultRows> rows = check_results(results, report);
  if (!rows || !plan) return;
  const auto& generations = plan->facts.generations;
  if (std::ranges::count(generations, rows->fingerprint, &SweepFacts::Generation::fingerprint) > 0)
    add(report.notes, results, "is of the sweep before it was extended: merge again");
  else if (rows->fingerprint != plan->facts.fingerprint)
    add(report.damage, results, "belongs to another sweep than plan.h5: merge again");
  else if (rows->ids != read_row_ids(plan->file))
    add(report.damage, results, "does not hold the rows of plan.h5 in their order: merge again");
}

void verify_file(const fs::path& file, VerifyReport& report) {
  const std::optional<FileKind> kind = kind_of_file(file);
  if (!kind && file.extension() != ".h5")
    throw InputError(file.string(), "is no file of rvsweep",
                     "give a sweep folder, results.h5, plan.h5 or a segment");
  if (kind == FileKind::results || (!kind && file.filename() == "results.h5")) {
    if (const auto rows = check_results(file, report)) {
      report.rows = std::ssize(rows->ids);
      report.rows_missing = rows->pending;
      report.rows_present = report.rows - rows->pending;
    }
    return;
  }
  check_bytes(file, kind.value_or(FileKind::segment), report);
}

}  // namespace

VerifyReport verify(const fs::path& path) {
  VerifyReport report;
  std::error_code error;
  if (!fs::exists(path, error)) throw InputError(path.string(), "does not exist");
  if (!fs::is_directory(path, error)) {
    verify_file(path, report);
    return report;
  }
  if (!fs::exists(plan_file(path)) && !fs::exists(segments_folder(path)) &&
      !fs::exists(results_file(path)))
    throw InputError(path.string(), "is no sweep folder (it holds no plan.h5)",
                     "give the --out folder of a run");
  verify_folder(path, report);
  return report;
}

}  // namespace rvsweep
