#include "storage/plan_layout.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/checked_file.hpp"
#include "storage/plan_checks.hpp"

namespace rvsweep {

NLOHMANN_JSON_SERIALIZE_ENUM(ColumnType, {{ColumnType::int32, "int32"},
                                          {ColumnType::int64, "int64"},
                                          {ColumnType::uint64, "uint64"},
                                          {ColumnType::float32, "float32"},
                                          {ColumnType::float64, "float64"},
                                          {ColumnType::utf8, "utf8"},
                                          {ColumnType::int32_list, "int32_list"},
                                          {ColumnType::float32_list, "float32_list"},
                                          {ColumnType::status, "status"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ColumnSpec, name, type, shape, units, description, definition)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SweepFacts::Generation, fingerprint, config, pairs,
                                                n_prompts, n_rows, arms)

namespace {
using h5::Chunking;
using h5::Handle;
using nlohmann::json;

ColumnSpec scalar(const char* name, ColumnType type, const char* units, const char* description) {
  return {name, type, {}, units, description, ""};
}
ColumnSpec text(const char* name, const char* description) {
  return scalar(name, ColumnType::utf8, "1", description);
}
ColumnSpec int32(const char* name, const char* units, const char* description) {
  return scalar(name, ColumnType::int32, units, description);
}

const ColumnSpec prompt_id = text("id", "name of the prompt");
const ColumnSpec prompt_text = text("text", "the prompt as it was tokenised");
const ColumnSpec prompt_opening =
    text("opening", "what the chat template writes before the text: system message, earlier turns");
const ColumnSpec prompt_spans =
    text("spans", "JSON: parts of the text that have a name, [begin, end) in characters");
const ColumnSpec prompt_group = text("group", "group of the prompt, as its file gives it");
const ColumnSpec prompt_cluster =
    text("cluster", "cluster of the prompt, such as its template, as its file gives it");
const ColumnSpec prompt_reason =
    text("reason", "why the prompt has no geometry; empty where it has");
const ColumnSpec prompt_tokens =
    scalar("tokens", ColumnType::int32_list, "token id",
           "token ids of the prompt, the model's special tokens included");
const ColumnSpec prompt_n_tokens = int32("n_tokens", "tokens", "length of the prompt");
const ColumnSpec pair_id = text("id", "name of the pair");
const ColumnSpec pair_source =
    int32("source", "index into /prompts", "the donor prompt of the pair");
const ColumnSpec pair_base =
    int32("base", "index into /prompts", "the recipient prompt of the pair");
const ColumnSpec pair_answer_source = text(
    "answer_source", "JSON list of the answers to source, of which first tokens count; else empty");
const ColumnSpec pair_answer_base = text(
    "answer_base", "JSON list of the answers to base, of which first tokens count; else empty");
const ColumnSpec pair_arms =
    text("arms", "JSON list of the patched arms that the pair is asked for; empty: all of them");
const ColumnSpec arm_label = text("label", "name of the arm in tables and figures");
const ColumnSpec arm_kind = text("kind", "what the arm does: base, source, v_proj, kv_cache");
const ColumnSpec arm_spec = text("spec", "canonical full text of the arm's settings");
const ColumnSpec row_id =
    scalar("row_id", ColumnType::uint64, "1", "64-bit hash of pair id, canonical arm and sample");
const ColumnSpec row_pair = int32("pair", "index into /pairs", "the prompt pair of the row");
const ColumnSpec row_arm = int32("arm", "index into /arms", "the arm of the row");
const ColumnSpec row_sample = int32("sample", "1", "number of the sample, from 0");

// Of plan.h5 alone.
const ColumnSpec facts_column = text(
    "sweep", "JSON: root attributes of results.h5, number of bundles, columns that bundles fill");
const ColumnSpec row_bundle_column =
    int32("row_bundle", "1", "bundle that computes the row, -1 for none");
const ColumnSpec prompt_bundle_column =
    int32("prompt_bundle", "1", "bundle that measures the prompt, -1 for none");
const ColumnSpec row_number_column =
    scalar("row_number", ColumnType::int64, "1", "number that segments name the row by");
const ColumnSpec prompt_number_column =
    int32("prompt_number", "1", "number that segments name the prompt by");

constexpr Chunking in_plan = Chunking::none, in_results = Chunking::compressed;

TextStore read_text_store(const Handle& group, const ColumnSpec& spec) {
  TextStore store;
  h5::read_texts(group, spec, [&](const std::string& text) { store.add(text); });
  return store;
}

/// Writes a column of plan.h5; `value_of(index)` returns an item's value.
template <class ValueOf>
void write_values(const Handle& group, const ColumnSpec& spec, std::int64_t items,
                  ValueOf value_of) {
  const auto piece = [&](std::int64_t first, std::int64_t end) {
    std::vector<decltype(value_of(std::size_t{}))> values;
    values.reserve(static_cast<std::size_t>(end - first));
    for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(end); ++i)
      values.push_back(value_of(i));
    return ColumnValues(std::move(values));
  };
  h5::write_column(group, spec, items, piece, in_plan);
}

void write_prompts(const Handle& file, const Plan& plan) {
  const Handle group = h5::ensure_group(file, "prompts");
  const auto& prompts = plan.prompts;
  const std::int64_t items = std::ssize(prompts);
  write_values(group, prompt_id, items, [&](auto p) { return std::string(plan.prompt_ids[p]); });
  write_values(group, prompt_text, items, [&](auto p) { return plan.texts[p]; });
  const auto write_of_some = [&](const ColumnSpec& spec, const TextsOfSome& of_some) {
    if (!of_some.empty())
      write_values(group, spec, items, [&](auto p) { return text_of(of_some, p); });
  };
  write_of_some(prompt_opening, plan.openings);
  write_of_some(prompt_spans, plan.spans);
  write_values(group, prompt_group, items,
               [&](auto p) { return plan.groups[static_cast<std::size_t>(prompts[p].group)]; });
  if (std::ranges::any_of(plan.clusters, [](const auto& name) { return !name.empty(); }))
    write_values(group, prompt_cluster, items, [&](auto p) { return plan.cluster(prompts[p]); });
  write_values(group, prompt_reason, items, [&](auto p) { return plan.refusal(prompts[p]); });
  write_values(group, prompt_tokens, items, [&](auto p) { return plan.tokens[p]; });
  write_values(group, prompt_n_tokens, items, [&](auto p) { return prompts[p].n_tokens; });
}

void write_pairs_and_arms(const Handle& file, const Plan& plan, const SweepFacts::Arms& arms) {
  const Handle group = h5::ensure_group(file, "pairs");
  const auto& pairs = plan.pairs;
  const std::int64_t items = std::ssize(pairs);
  write_values(group, pair_id, items, [&](auto n) { return pairs[n].id; });
  write_values(group, pair_source, items, [&](auto n) { return pairs[n].source.value; });
  write_values(group, pair_base, items, [&](auto n) { return pairs[n].base.value; });
  if (plan.has_answers()) {
    write_values(group, pair_answer_source, items,
                 [&](auto n) { return answer_json(pairs[n].answers.source); });
    write_values(group, pair_answer_base, items,
                 [&](auto n) { return answer_json(pairs[n].answers.base); });
  }
  if (std::ranges::any_of(pairs, [](const PromptPair& pair) { return !pair.arms.empty(); }))
    write_values(group, pair_arms, items, [&](auto n) { return answer_json(pairs[n].arms); });
  const Handle arms_group = h5::ensure_group(file, "arms");
  h5::write_column(arms_group, arm_label, arms.label, in_plan);
  h5::write_column(arms_group, arm_kind, arms.kind, in_plan);
  h5::write_column(arms_group, arm_spec, arms.spec, in_plan);
}

void write_rows(const Handle& file, const Plan& plan) {
  const Handle group = h5::ensure_group(file, "rows");
  const auto& rows = plan.rows;
  const std::int64_t items = std::ssize(rows);
  write_values(group, row_id, items, [&](auto r) { return rows[r].id.value; });
  write_values(group, row_pair, items, [&](auto r) { return rows[r].pair.value; });
  write_values(group, row_arm, items, [&](auto r) { return rows[r].arm.value; });
  write_values(group, row_sample, items, [&](auto r) { return rows[r].sample; });
  write_values(group, planned_status_column(), items, [&](auto r) {
    return static_cast<std::int8_t>(rows[r].refusal != 0 ? RowStatus::refused : RowStatus::pending);
  });
  write_values(group, planned_reason_column(), items,
               [&](auto r) { return plan.refusal(rows[r]); });
}

/// Columns of a group of plan.h5.
void copy_columns(const Handle& plan, const Handle& results, const char* group,
                  const std::vector<ColumnSpec>& columns) {
  const Handle from = h5::open_group(plan, group), to = h5::ensure_group(results, group);
  for (const ColumnSpec& spec : columns) h5::copy_column(from, to, spec, in_results);
}

void write_sweep_facts(const Handle& file, const SweepFacts& facts, std::int32_t n_bundles) {
  h5::write_attribute(file, "sweep_fingerprint", facts.fingerprint);
  const json listed = {{"attributes", facts.attributes},
                       {"n_bundles", n_bundles},
                       {"prompt_columns", facts.prompt_columns},
                       {"row_columns", facts.row_columns},
                       {"generations", facts.generations}};
  const std::vector<std::string> text{listed.dump(-1, ' ', false, json::error_handler_t::replace)};
  h5::write_column(file, facts_column, text, in_plan);
}

void write_bundle_of_item(const Handle& file, const BundleOfItem& items, bool is_extended) {
  h5::write_column(file, row_bundle_column, items.row_bundle, in_plan);
  h5::write_column(file, prompt_bundle_column, items.prompt_bundle, in_plan);
  if (!is_extended) return;
  h5::write_column(file, row_number_column, items.row_number, in_plan);
  h5::write_column(file, prompt_number_column, items.prompt_number, in_plan);
}

void read_facts_and_bundles(const Handle& file, SweepFacts& facts, BundleOfItem& items) {
  facts.fingerprint = h5::read_uint_attribute(file, "sweep_fingerprint");
  const json listed = json::parse(h5::read_values<std::string>(file, facts_column).at(0));
  listed.at("attributes").get_to(facts.attributes);
  listed.at("prompt_columns").get_to(facts.prompt_columns);
  listed.at("row_columns").get_to(facts.row_columns);
  listed.at("generations").get_to(facts.generations);
  const Handle arms = h5::open_group(file, "arms");
  facts.arms = {h5::read_values<std::string>(arms, arm_label),
                h5::read_values<std::string>(arms, arm_kind),
                h5::read_values<std::string>(arms, arm_spec)};
  expect_sound(facts);
  listed.at("n_bundles").get_to(items.n_bundles);
  items.row_bundle = h5::read_values<std::int32_t>(file, row_bundle_column);
  items.prompt_bundle = h5::read_values<std::int32_t>(file, prompt_bundle_column);
  const bool is_extended = !facts.generations.empty();
  if (is_extended) {
    items.row_number = h5::read_values<std::int64_t>(file, row_number_column);
    items.prompt_number = h5::read_values<std::int32_t>(file, prompt_number_column);
  }
  expect_sound(items, is_extended);
}

/// Calls `read`; what a plan with a sound checksum brings it to throw becomes an InputError.
template <class Read>
void as_of_this_version(const std::filesystem::path& plan, Read read) {
  try {
    read();
  } catch (const OutputError&) {  // of the folder for temporary files
    throw;
  } catch (const std::exception& error) {
    throw InputError(plan.string(),
                     std::string("is not a plan of this version of rvsweep (") + error.what() + ")",
                     "use the version that wrote it, or another --out folder");
  }
}

}  // namespace

ColumnSpec planned_status_column() {
  return scalar(columns::status.name, ColumnType::status, "1",
                "what a row without a bundle ends as");
}
ColumnSpec planned_reason_column() {
  return text(columns::reason.name, "why a row without a bundle is not computed");
}

void write_plan(const Handle& file, const SweepFacts& facts, const Plan& plan,
                const BundleOfItem& items) {
  write_sweep_facts(file, facts, items.n_bundles);
  write_prompts(file, plan);
  write_pairs_and_arms(file, plan, facts.arms);
  write_rows(file, plan);
  write_bundle_of_item(file, items, !facts.generations.empty());
}

void copy_prompt_table(const Handle& plan, const Handle& results) {
  const Handle prompts = h5::open_group(plan, "prompts");
  copy_columns(plan, results, "prompts", {prompt_id, prompt_text});
  for (const ColumnSpec& column : {prompt_opening, prompt_spans, prompt_group, prompt_cluster})
    if (h5::has_dataset(prompts, column.name)) copy_columns(plan, results, "prompts", {column});
  copy_columns(plan, results, "prompts", {prompt_reason, prompt_tokens, prompt_n_tokens});
}

void copy_other_tables(const Handle& plan, const Handle& results) {
  copy_columns(plan, results, "pairs", {pair_id, pair_source, pair_base});
  for (const ColumnSpec& column : {pair_answer_source, pair_answer_base, pair_arms})
    if (h5::has_dataset(h5::open_group(plan, "pairs"), column.name))
      copy_columns(plan, results, "pairs", {column});
  copy_columns(plan, results, "arms", {arm_label, arm_kind, arm_spec});
  copy_columns(plan, results, "rows", {row_id, row_pair, row_arm, row_sample});
}

std::vector<std::uint64_t> read_row_ids(const Handle& file) {
  return h5::read_values<std::uint64_t>(h5::open_group(file, "rows"), row_id);
}

OpenPlan open_plan(const std::filesystem::path& sweep_folder) {
  const std::filesystem::path path = plan_file(sweep_folder);
  OpenPlan plan{open_checked_file(path, FileKind::plan), {}, {}};
  as_of_this_version(path, [&] { read_facts_and_bundles(plan.file, plan.facts, plan.items); });
  return plan;
}

void read_items(const std::filesystem::path& plan, const Handle& file, StoredSweep& sweep) {
  as_of_this_version(plan, [&] {
    const Handle prompts = h5::open_group(file, "prompts");
    sweep.prompts.id = read_text_store(prompts, prompt_id);
    sweep.prompts.group = read_text_store(prompts, prompt_group);
    if (h5::has_dataset(prompts, prompt_cluster.name))
      sweep.prompts.cluster = read_text_store(prompts, prompt_cluster);
    h5::read_texts(prompts, prompt_text,
                   [&](const std::string& text) { sweep.prompts.text.add(text); });
    const auto read_of_some = [&](const ColumnSpec& spec, TextsOfSome& of_some) {
      std::size_t place = 0;
      if (h5::has_dataset(prompts, spec.name))
        h5::read_texts(prompts, spec, [&](const std::string& text) {
          if (!text.empty()) of_some[place] = text;
          ++place;
        });
    };
    read_of_some(prompt_opening, sweep.prompts.opening);
    read_of_some(prompt_spans, sweep.prompts.spans);
    const Handle pairs = h5::open_group(file, "pairs");
    sweep.pairs.id = read_text_store(pairs, pair_id);
    sweep.pairs.source = h5::read_values<std::int32_t>(pairs, pair_source);
    sweep.pairs.base = h5::read_values<std::int32_t>(pairs, pair_base);
    if (h5::has_dataset(pairs, pair_answer_source.name)) {
      sweep.pairs.answer_source = read_text_store(pairs, pair_answer_source);
      sweep.pairs.answer_base = read_text_store(pairs, pair_answer_base);
    }
    if (h5::has_dataset(pairs, pair_arms.name))
      sweep.pairs.arms = read_text_store(pairs, pair_arms);
    const Handle rows = h5::open_group(file, "rows");
    sweep.rows.row_id = h5::read_values<std::uint64_t>(rows, row_id);
    sweep.rows.pair = h5::read_values<std::int32_t>(rows, row_pair);
    sweep.rows.arm = h5::read_values<std::int32_t>(rows, row_arm);
    sweep.rows.sample = h5::read_values<std::int32_t>(rows, row_sample);
    sweep.rows.reason = read_text_store(rows, planned_reason_column());
    expect_sound(sweep);
  });
}

}  // namespace rvsweep
