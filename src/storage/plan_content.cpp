#include "storage/plan_content.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/static_tables.hpp"

namespace rvsweep {

NLOHMANN_JSON_SERIALIZE_ENUM(ColumnType, {{ColumnType::int32, "int32"},
                                          {ColumnType::int64, "int64"},
                                          {ColumnType::uint64, "uint64"},
                                          {ColumnType::float32, "float32"},
                                          {ColumnType::float64, "float64"},
                                          {ColumnType::utf8, "utf8"},
                                          {ColumnType::status, "status"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ColumnSpec, name, type, shape, units, description, definition)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SweepFacts::Generation, fingerprint, config, pairs, n_prompts,
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

bool all_bundles(const std::vector<std::int32_t>& bundles, std::int32_t n_bundles) {
  return std::all_of(bundles.begin(), bundles.end(), [&](std::int32_t bundle) {
    return bundle >= no_bundle && bundle < n_bundles;
  });
}

void expect_sound(const SweepFacts& facts) {
  const auto& arms = facts.arms;
  RVSWEEP_EXPECT(arms.kind.size() == arms.label.size() && arms.spec.size() == arms.label.size(),
                 "the columns of /arms have one length");
  for (const auto& [name, value] : facts.attributes) {
    RVSWEEP_EXPECT(
        name != "schema_version" || (!value.empty() && value.size() < 10 &&
                                     value.find_first_not_of("0123456789") == std::string::npos),
        "schema_version is a small whole number");
  }
}

void expect_sound(const BundleOfItem& items, bool is_extended) {
  RVSWEEP_EXPECT(all_bundles(items.row_bundle, items.n_bundles) &&
                     all_bundles(items.prompt_bundle, items.n_bundles),
                 "items belong to existing bundles");
  if (!is_extended) return;
  RVSWEEP_EXPECT(is_permutation_of(items.row_number, items.row_bundle.size()) &&
                     is_permutation_of(items.prompt_number, items.prompt_bundle.size()),
                 "every item of an extended sweep has a number of its own");
}

template <class Value>
std::vector<Value> read_as(const Handle& group, const ColumnSpec& spec) {
  return std::get<std::vector<Value>>(h5::read_column(group, spec));
}

json listed_facts(const Handle& file) {
  return json::parse(read_as<std::string>(file, facts_column).at(0));
}

SweepFacts read_sweep_facts(const Handle& file) {
  SweepFacts facts;
  facts.fingerprint = h5::read_uint_attribute(file, "sweep_fingerprint");
  const json listed = listed_facts(file);
  listed.at("attributes").get_to(facts.attributes);
  listed.at("prompt_columns").get_to(facts.prompt_columns);
  listed.at("row_columns").get_to(facts.row_columns);
  listed.at("generations").get_to(facts.generations);
  facts.arms = read_arms(file);
  expect_sound(facts);
  return facts;
}

BundleOfItem read_bundle_of_item(const Handle& file) {
  BundleOfItem items;
  const json listed = listed_facts(file);
  listed.at("n_bundles").get_to(items.n_bundles);
  items.row_bundle = read_as<std::int32_t>(file, row_bundle_column);
  items.prompt_bundle = read_as<std::int32_t>(file, prompt_bundle_column);
  const bool is_extended = !listed.at("generations").empty();
  if (is_extended) {
    items.row_number = read_as<std::int64_t>(file, row_number_column);
    items.prompt_number = read_as<std::int32_t>(file, prompt_number_column);
  }
  expect_sound(items, is_extended);
  return items;
}

}  // namespace

void write_sweep_facts(const Handle& file, const SweepFacts& facts, std::int32_t n_bundles) {
  expect_sound(facts);
  h5::write_attribute(file, "sweep_fingerprint", facts.fingerprint);
  const json listed = {{"attributes", facts.attributes},
                       {"n_bundles", n_bundles},
                       {"prompt_columns", facts.prompt_columns},
                       {"row_columns", facts.row_columns},
                       {"generations", facts.generations}};
  const std::string text = listed.dump(-1, ' ', false, json::error_handler_t::replace);
  h5::write_column(file, facts_column, std::vector<std::string>{text}, Layout::plain);
}

void write_bundle_of_item(const Handle& file, const BundleOfItem& items, bool is_extended) {
  expect_sound(items, is_extended);
  h5::write_column(file, row_bundle_column, items.row_bundle, Layout::plain);
  h5::write_column(file, prompt_bundle_column, items.prompt_bundle, Layout::plain);
  if (!is_extended) return;
  h5::write_column(file, row_number_column, items.row_number, Layout::plain);
  h5::write_column(file, prompt_number_column, items.prompt_number, Layout::plain);
}

InputError not_of_this_version(const std::filesystem::path& plan, const std::exception& error) {
  return {plan.string(),
          std::string("is not a plan of this version of rvsweep (") + error.what() + ")",
          "use the version that wrote it, or another --out folder"};
}

OpenPlan open_plan(const std::filesystem::path& sweep_folder) {
  const std::filesystem::path path = plan_file(sweep_folder);
  Handle file = open_checked_file(path, FileKind::plan);
  try {
    SweepFacts facts = read_sweep_facts(file);
    BundleOfItem items = read_bundle_of_item(file);
    return {std::move(file), std::move(facts), std::move(items)};
  } catch (const std::exception& error) {
    throw not_of_this_version(path, error);
  }
}

}  // namespace rvsweep
