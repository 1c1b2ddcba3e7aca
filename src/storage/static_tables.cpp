#include "rvsweep/storage/static_tables.hpp"

namespace rvsweep {
namespace {
using h5::Handle;
using h5::Layout;

ColumnSpec text_column(const char* name, const char* description) {
  return {name, ColumnType::utf8, {}, "1", description, ""};
}
ColumnSpec int_column(const char* name, const char* units, const char* description) {
  return {name, ColumnType::int32, {}, units, description, ""};
}

const ColumnSpec prompt_id = text_column("id", "name of the prompt");
const ColumnSpec prompt_text = text_column("text", "the prompt as it was tokenised");
const ColumnSpec prompt_group = text_column("group", "group of the prompt, as its file gives it");
const ColumnSpec prompt_reason =
    text_column("reason", "why the prompt has no geometry; empty where it has");
const ColumnSpec prompt_tokens = int_column(
    "tokens", "token id", "token ids of the prompt, the model's special tokens included");
const ColumnSpec prompt_n_tokens = int_column("n_tokens", "tokens", "length of the prompt");
const ColumnSpec pair_id = text_column("id", "name of the pair");
const ColumnSpec pair_source =
    int_column("source", "index into /prompts", "the donor prompt of the pair");
const ColumnSpec pair_base =
    int_column("base", "index into /prompts", "the recipient prompt of the pair");
const ColumnSpec arm_label = text_column("label", "name of the arm in tables and figures");
const ColumnSpec arm_kind =
    text_column("kind", "what the arm does: base, source, v_proj, kv_cache");
const ColumnSpec arm_spec = text_column("spec", "canonical full text of the arm's settings");
const ColumnSpec row_id = {
    "row_id", ColumnType::uint64, {}, "1", "64-bit hash of pair id, canonical arm and sample", ""};
const ColumnSpec row_pair = int_column("pair", "index into /pairs", "the prompt pair of the row");
const ColumnSpec row_arm = int_column("arm", "index into /arms", "the arm of the row");
const ColumnSpec row_sample = int_column("sample", "1", "number of the sample, from 0");

template <class Value>
std::vector<Value> read_as(const Handle& group, const ColumnSpec& spec) {
  return std::get<std::vector<Value>>(h5::read_column(group, spec));
}
}  // namespace

ColumnSpec planned_status_column() {
  return {"status", ColumnType::status, {}, "1", "what a row without a bundle ends as", ""};
}
ColumnSpec planned_reason_column() {
  return text_column("reason", "why a row without a bundle is not computed");
}

void write_prompt_table(const Handle& file, const StaticSweep& sweep, Layout layout) {
  const Handle group = h5::ensure_group(file, "prompts");
  h5::write_column(group, prompt_id, sweep.prompts.id, layout);
  h5::write_column(group, prompt_text, sweep.prompts.text, layout);
  h5::write_column(group, prompt_group, sweep.prompts.group, layout);
  h5::write_column(group, prompt_reason, sweep.prompts.reason, layout);
  h5::write_lists(group, prompt_tokens, sweep.prompts.tokens, layout);
  std::vector<std::int32_t> lengths;
  for (const auto& tokens : sweep.prompts.tokens) {
    lengths.push_back(static_cast<std::int32_t>(tokens.size()));
  }
  h5::write_column(group, prompt_n_tokens, lengths, layout);
}

void write_pair_and_arm_tables(const Handle& file, const StaticSweep& sweep, Layout layout) {
  const Handle pairs = h5::ensure_group(file, "pairs");
  h5::write_column(pairs, pair_id, sweep.pairs.id, layout);
  h5::write_column(pairs, pair_source, sweep.pairs.source, layout);
  h5::write_column(pairs, pair_base, sweep.pairs.base, layout);
  const Handle arms = h5::ensure_group(file, "arms");
  h5::write_column(arms, arm_label, sweep.arms.label, layout);
  h5::write_column(arms, arm_kind, sweep.arms.kind, layout);
  h5::write_column(arms, arm_spec, sweep.arms.spec, layout);
}

void write_row_table(const Handle& file, const StaticSweep& sweep, Layout layout) {
  const Handle rows = h5::ensure_group(file, "rows");
  h5::write_column(rows, row_id, sweep.rows.row_id, layout);
  h5::write_column(rows, row_pair, sweep.rows.pair, layout);
  h5::write_column(rows, row_arm, sweep.rows.arm, layout);
  h5::write_column(rows, row_sample, sweep.rows.sample, layout);
}

void read_static_tables(const Handle& file, StaticSweep& sweep) {
  const Handle prompts = h5::open_group(file, "prompts");
  sweep.prompts.id = read_as<std::string>(prompts, prompt_id);
  sweep.prompts.text = read_as<std::string>(prompts, prompt_text);
  sweep.prompts.group = read_as<std::string>(prompts, prompt_group);
  sweep.prompts.reason = read_as<std::string>(prompts, prompt_reason);
  sweep.prompts.tokens = h5::read_lists(prompts, prompt_tokens.name);
  const Handle pairs = h5::open_group(file, "pairs");
  sweep.pairs.id = read_as<std::string>(pairs, pair_id);
  sweep.pairs.source = read_as<std::int32_t>(pairs, pair_source);
  sweep.pairs.base = read_as<std::int32_t>(pairs, pair_base);
  const Handle arms = h5::open_group(file, "arms");
  sweep.arms.label = read_as<std::string>(arms, arm_label);
  sweep.arms.kind = read_as<std::string>(arms, arm_kind);
  sweep.arms.spec = read_as<std::string>(arms, arm_spec);
  const Handle rows = h5::open_group(file, "rows");
  sweep.rows.row_id = read_as<std::uint64_t>(rows, row_id);
  sweep.rows.pair = read_as<std::int32_t>(rows, row_pair);
  sweep.rows.arm = read_as<std::int32_t>(rows, row_arm);
  sweep.rows.sample = read_as<std::int32_t>(rows, row_sample);
}

std::vector<std::uint64_t> read_row_ids(const Handle& file) {
  return read_as<std::uint64_t>(h5::open_group(file, "rows"), row_id);
}

}  // namespace rvsweep
