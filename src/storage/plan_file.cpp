#include "rvsweep/storage/plan_file.hpp"

#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/checked_file.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/layout.hpp"
#include "rvsweep/storage/static_tables.hpp"

namespace rvsweep {

NLOHMANN_JSON_SERIALIZE_ENUM(ColumnType, {{ColumnType::int32, "int32"},
                                          {ColumnType::int64, "int64"},
                                          {ColumnType::uint64, "uint64"},
                                          {ColumnType::float32, "float32"},
                                          {ColumnType::float64, "float64"},
                                          {ColumnType::utf8, "utf8"},
                                          {ColumnType::status, "status"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ColumnSpec, name, type, shape, units, description, definition)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StaticSweep::Generation, fingerprint, config, pairs, n_prompts,
                                   n_rows)

namespace {
using h5::Handle;
using h5::Layout;
using nlohmann::json;

const ColumnSpec facts_column = {
    "sweep",
    ColumnType::utf8,
    {},
    "1",
    "JSON: root attributes of results.h5, number of bundles, columns that bundles fill",
    ""};
const ColumnSpec row_bundle_column = {
    "row_bundle", ColumnType::int32, {}, "1", "bundle that computes the row, -1 for none", ""};
const ColumnSpec prompt_bundle_column = {"prompt_bundle",
                                         ColumnType::int32,
                                         {},
                                         "1",
                                         "bundle that measures the prompt, -1 for none",
                                         ""};

const ColumnSpec row_number_column = {
    "row_number", ColumnType::int64, {}, "1", "number that segments name the row by", ""};
const ColumnSpec prompt_number_column = {
    "prompt_number", ColumnType::int32, {}, "1", "number that segments name the prompt by", ""};

/// Each of 0 ... n-1 once.
template <class Number>
bool is_permutation_of(const std::vector<Number>& numbers, std::size_t n) {
  std::vector<bool> seen(n, false);
  for (const Number number : numbers) {
    if (number < 0 || static_cast<std::size_t>(number) >= n) return false;
    if (seen[static_cast<std::size_t>(number)]) return false;
    seen[static_cast<std::size_t>(number)] = true;
  }
  return numbers.size() == n;
}

bool all_between(const std::vector<std::int32_t>& values, std::int64_t low, std::int64_t end) {
  for (std::int32_t value : values) {
    if (value < low || value >= end) return false;
  }
  return true;
}

void expect_consistent(const StaticSweep& sweep) {
  const auto& [id, text, group, reason, tokens] = sweep.prompts;
  RVSWEEP_EXPECT(text.size() == id.size() && group.size() == id.size() &&
                     reason.size() == id.size() && tokens.size() == id.size() &&
                     sweep.prompt_bundle.size() == id.size(),
                 "the columns of /prompts have one length");
  const auto& pairs = sweep.pairs;
  const std::int64_t n_prompts = sweep.n_prompts();
  RVSWEEP_EXPECT(pairs.source.size() == pairs.id.size() && pairs.base.size() == pairs.id.size() &&
                     all_between(pairs.source, 0, n_prompts) &&
                     all_between(pairs.base, 0, n_prompts),
                 "/pairs names existing prompts");
  const auto& arms = sweep.arms;
  RVSWEEP_EXPECT(arms.kind.size() == arms.label.size() && arms.spec.size() == arms.label.size(),
                 "the columns of /arms have one length");
  const auto& rows = sweep.rows;
  const std::size_t n_rows = rows.row_id.size();
  RVSWEEP_EXPECT(rows.pair.size() == n_rows && rows.arm.size() == n_rows &&
                     rows.sample.size() == n_rows && rows.status.size() == n_rows &&
                     rows.reason.size() == n_rows && sweep.row_bundle.size() == n_rows,
                 "the columns of /rows have one length");
  RVSWEEP_EXPECT(all_between(rows.pair, 0, static_cast<std::int64_t>(pairs.id.size())) &&
                     all_between(rows.arm, 0, static_cast<std::int64_t>(arms.label.size())),
                 "/rows names existing pairs and arms");
  RVSWEEP_EXPECT(all_between(sweep.row_bundle, no_bundle, sweep.n_bundles) &&
                     all_between(sweep.prompt_bundle, no_bundle, sweep.n_bundles),
                 "items belong to existing bundles");
  if (!sweep.generations.empty()) {
    RVSWEEP_EXPECT(is_permutation_of(sweep.row_number, n_rows) &&
                       is_permutation_of(sweep.prompt_number, id.size()),
                   "every item of an extended sweep has a number of its own");
  }
  for (const auto& generation : sweep.generations) {
    RVSWEEP_EXPECT(all_between(generation.pairs, 0, static_cast<std::int64_t>(pairs.id.size())) &&
                       generation.n_prompts <= n_prompts,
                   "an extended sweep holds the pairs and prompts of the smaller one");
  }
  for (const auto& [name, value] : sweep.attributes) {
    RVSWEEP_EXPECT(
        name != "schema_version" || (!value.empty() && value.size() < 10 &&
                                     value.find_first_not_of("0123456789") == std::string::npos),
        "schema_version is a small whole number");
  }
}

template <class Value>
std::vector<Value> read_as(const Handle& group, const ColumnSpec& spec) {
  return std::get<std::vector<Value>>(h5::read_column(group, spec));
}

void write_content(const Handle& file, const StaticSweep& sweep) {
  h5::write_attribute(file, "sweep_fingerprint", sweep.fingerprint);
  const json facts = {{"attributes", sweep.attributes},
                      {"n_bundles", sweep.n_bundles},
                      {"prompt_columns", sweep.prompt_columns},
                      {"row_columns", sweep.row_columns},
                      {"generations", sweep.generations}};
  const std::string text = facts.dump(-1, ' ', false, json::error_handler_t::replace);
  h5::write_column(file, facts_column, std::vector<std::string>{text}, Layout::plain);
  write_prompt_table(file, sweep, Layout::plain);
  write_pair_and_arm_tables(file, sweep, Layout::plain);
  write_row_table(file, sweep, Layout::plain);
  const Handle rows = h5::open_group(file, "rows");
  h5::write_column(rows, planned_status_column(), sweep.rows.status, Layout::plain);
  h5::write_column(rows, planned_reason_column(), sweep.rows.reason, Layout::plain);
  h5::write_column(file, row_bundle_column, sweep.row_bundle, Layout::plain);
  h5::write_column(file, prompt_bundle_column, sweep.prompt_bundle, Layout::plain);
  if (sweep.generations.empty()) return;
  h5::write_column(file, row_number_column, sweep.row_number, Layout::plain);
  h5::write_column(file, prompt_number_column, sweep.prompt_number, Layout::plain);
}

StaticSweep read_content(const Handle& file) {
  StaticSweep sweep;
  sweep.fingerprint = h5::read_uint_attribute(file, "sweep_fingerprint");
  const json facts = json::parse(read_as<std::string>(file, facts_column).at(0));
  facts.at("attributes").get_to(sweep.attributes);
  facts.at("n_bundles").get_to(sweep.n_bundles);
  facts.at("prompt_columns").get_to(sweep.prompt_columns);
  facts.at("row_columns").get_to(sweep.row_columns);
  facts.at("generations").get_to(sweep.generations);
  read_static_tables(file, sweep);
  const Handle rows = h5::open_group(file, "rows");
  sweep.rows.status = read_as<std::int8_t>(rows, planned_status_column());
  sweep.rows.reason = read_as<std::string>(rows, planned_reason_column());
  sweep.row_bundle = read_as<std::int32_t>(file, row_bundle_column);
  sweep.prompt_bundle = read_as<std::int32_t>(file, prompt_bundle_column);
  if (sweep.generations.empty()) return sweep;
  sweep.row_number = read_as<std::int64_t>(file, row_number_column);
  sweep.prompt_number = read_as<std::int32_t>(file, prompt_number_column);
  return sweep;
}
}  // namespace

void write_plan_file(const std::filesystem::path& sweep_folder, const StaticSweep& sweep) {
  expect_consistent(sweep);
  create_folder(segments_folder(sweep_folder));
  write_checked_file(plan_file(sweep_folder), FileKind::plan,
                     [&](const Handle& file) { write_content(file, sweep); });
}

StaticSweep read_plan_file(const std::filesystem::path& sweep_folder) {
  const std::filesystem::path path = plan_file(sweep_folder);
  const Handle file = open_checked_file(path, FileKind::plan);
  try {
    StaticSweep sweep = read_content(file);
    expect_consistent(sweep);
    return sweep;
  } catch (const std::exception& error) {
    throw InputError(path.string(),
                     std::string("is not a plan of this version of rvsweep (") + error.what() + ")",
                     "use the version that wrote it, or another --out folder");
  }
}

}  // namespace rvsweep
