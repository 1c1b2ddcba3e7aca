#pragma once
// A small made-up sweep with every column type, bundles that lie scattered in plan order, and
// values that differ from item to item.
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "rvsweep/storage/plan_file.hpp"

namespace rvsweep::sample {

inline constexpr std::int64_t n_layers = 3, window = 4, max_new = 5;

/// All of plan.h5, column by column.
struct Sweep : SweepFacts, BundleOfItem {
  struct Prompts {
    std::vector<std::string> id, text, group, cluster, reason;
    std::vector<std::vector<std::int32_t>> tokens;
  } prompts;
  struct Pairs {
    std::vector<std::string> id;
    std::vector<std::int32_t> source, base;
    std::vector<PairAnswers> answers;
    std::vector<std::vector<std::string>> arms;
  } pairs;
  struct Rows {
    std::vector<std::uint64_t> row_id;
    std::vector<std::int32_t> pair, arm, sample;
    std::vector<std::int8_t> status;
    std::vector<std::string> reason;
  } rows;
};

inline Sweep sweep(std::int32_t n_bundles = 4) {
  Sweep s;
  s.fingerprint = 0xfedcba9876543210u;
  s.attributes = {{"schema_version", "1"},
                  {"rvsweep_version", "0.1.0"},
                  {"config", "[model]\npath = modèle\n"},
                  {"note", ""}};
  s.prompts.id = {"a", "b", "c", "d", "e"};
  s.prompts.text = {"Erkenne dich selbst — γνῶθι σεαυτόν", "", "line one\nline two", "🙂 emoji",
                    "plain"};
  s.prompts.group = {"recursive", "baseline", "", "recursive", "baseline"};
  s.prompts.cluster = {"", "template 1", "", "", "vorlage ü"};
  s.prompts.reason = {"", "the prompt is empty", "", "", ""};
  s.prompts.tokens = {{1, 2, 3}, {}, {49151, 0}, {7}, {5, 6, 7, 8, 9}};
  s.pairs = {{"p0", "p1", "p2"},
             {0, 2, 3},
             {4, 1, 4},
             {{{" Köln"}, {"a", "\"b\""}}, {{}, {" x"}}, {}},
             {{"v"}, {}, {"base", "v"}}};
  s.arms = {{"base", "v"}, {"base", "v_proj"}, {"base", "v_proj layers=2:3 decode=persist"}};
  for (std::int32_t pair = 0; pair < 3; ++pair) {
    for (std::int32_t arm = 0; arm < 2; ++arm) {
      for (std::int32_t number = 0; number < 5; ++number) {
        const auto row = static_cast<std::int32_t>(s.rows.row_id.size());
        const bool refused = row % 7 == 3;
        s.rows.row_id.push_back(0x9e3779b97f4a7c15u * static_cast<std::uint64_t>(row + 1));
        s.rows.pair.push_back(pair);
        s.rows.arm.push_back(arm);
        s.rows.sample.push_back(number);
        s.rows.status.push_back(
            static_cast<std::int8_t>(refused ? RowStatus::refused : RowStatus::pending));
        s.rows.reason.push_back(refused ? "refused at plan time: row " + std::to_string(row) : "");
        s.row_bundle.push_back(refused ? no_bundle : (row * 5 + row / 3) % n_bundles);
      }
    }
  }
  s.n_bundles = n_bundles;
  s.prompt_bundle = {0, no_bundle, 1 % n_bundles, 0, 2 % n_bundles};
  const std::string version = "participation_ratio 1: (sum lambda)^2 / sum lambda^2";
  s.prompt_columns = {
      {"spectra", ColumnType::float32, {n_layers, window}, "1", "singular values", ""},
      {"metrics/pr", ColumnType::float64, {n_layers}, "1", "participation ratio", version},
      {"logprob", ColumnType::float32_list, {}, "nats", "of every token", ""}};
  s.row_columns = {
      {"status", ColumnType::status, {}, "1", "how the row ended", ""},
      {"reason", ColumnType::utf8, {}, "1", "why it was refused or failed", ""},
      {"tokens", ColumnType::int32, {max_new}, "token id", "generated tokens", ""},
      {"text", ColumnType::utf8, {}, "1", "generated text", ""},
      {"cells_changed", ColumnType::int64, {}, "cells", "donor cells written", ""},
      {"noise_key", ColumnType::uint64, {}, "1", "key of the random numbers", ""},
      {"step_pr", ColumnType::float32, {n_layers, max_new}, "1", "PR of the sliding window", ""},
      {"r_v_prompt", ColumnType::float64, {}, "1", "R_V of the prompt window", "r_v 1"}};
  return s;
}

/// The sample as if it had grown from its first four prompts, two pairs and ten rows: numbers that
/// are not the indices.
inline Sweep extended_sweep() {
  Sweep s = sweep();
  s.generations = {
      {0x1111222233334444u, "[model]\npath = modèle\n", {2, 0}, 4, 10, {{"x", "y"}, {}}}};
  s.prompt_number = {0, 4, 1, 2, 3};
  for (std::int64_t row = 0; row < s.n_rows(); ++row)
    s.row_number.push_back((row * 7 + 3) % s.n_rows());
  return s;
}

/// The plan whose file has those columns.
inline Plan plan_of(const Sweep& sweep) {
  Plan plan;
  const auto refusal = [&](const std::string& reason) {
    if (reason.empty()) return 0;
    plan.refusals.push_back(reason);
    return static_cast<std::int32_t>(plan.refusals.size()) - 1;
  };
  plan.bundles.resize(static_cast<std::size_t>(sweep.n_bundles));
  for (std::int32_t bundle = 0; bundle < sweep.n_bundles; ++bundle)
    plan.bundles[static_cast<std::size_t>(bundle)].id = BundleId(bundle);
  for (std::size_t p = 0; p < sweep.prompts.id.size(); ++p) {
    const PromptIndex number(static_cast<std::int32_t>(sweep.number_of_prompt(p)));
    const auto n_tokens = static_cast<std::int32_t>(sweep.prompts.tokens[p].size());
    const auto place = static_cast<std::int32_t>(p);
    plan.prompts.push_back(
        {number, n_tokens, 0, place, place, refusal(sweep.prompts.reason[p]), 0});
    plan.groups.push_back(sweep.prompts.group[p]);
    plan.clusters.push_back(sweep.prompts.cluster[p]);
    plan.prompt_ids.add(sweep.prompts.id[p]);
    plan.texts.add(sweep.prompts.text[p]);
    plan.tokens.add(sweep.prompts.tokens[p]);
    if (const auto bundle = sweep.prompt_bundle[p]; bundle != no_bundle)
      plan.bundles.at(static_cast<std::size_t>(bundle))
          .contexts.push_back({number, n_tokens, 0, true});
  }
  for (std::size_t n = 0; n < sweep.pairs.id.size(); ++n)
    plan.pairs.push_back({sweep.pairs.id[n], PromptIndex(sweep.pairs.source[n]),
                          PromptIndex(sweep.pairs.base[n]), sweep.pairs.answers[n],
                          sweep.pairs.arms[n]});
  for (std::size_t r = 0; r < sweep.rows.row_id.size(); ++r) {
    const RowIndex number(sweep.number_of_row(r));
    plan.rows.push_back({RowId(sweep.rows.row_id[r]), PairIndex(sweep.rows.pair[r]),
                         ArmIndex(sweep.rows.arm[r]), sweep.rows.sample[r],
                         refusal(sweep.rows.reason[r]), number});
    if (const auto bundle = sweep.row_bundle[r]; bundle != no_bundle)
      plan.bundles.at(static_cast<std::size_t>(bundle)).rows.push_back({number});
  }
  if (sweep.generations.empty()) return plan;
  plan.prompt_places = places_by_number<std::int32_t>(plan.prompts);
  plan.row_places = places_by_number<std::int64_t>(plan.rows);
  return plan;
}

inline void write_plan(const std::filesystem::path& folder, const Sweep& sweep) {
  write_plan_file(folder, sweep, plan_of(sweep));
}

/// A quiet NaN with a payload that must survive.
inline double marked_nan() { return std::nan("0x1234"); }

/// The value that item `item` of a column has: a function of both, so that a mix-up shows.
inline ColumnValues values_of(const ColumnSpec& spec, const std::vector<std::int64_t>& items) {
  const std::int64_t size = item_size(spec);
  ColumnValues values = fill_values(spec, static_cast<std::int64_t>(items.size()));
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (std::int64_t k = 0; k < size; ++k) {
      const auto at = i * static_cast<std::size_t>(size) + static_cast<std::size_t>(k);
      const std::int64_t value = items[i] * 1000 + k + static_cast<std::int64_t>(spec.name.size());
      std::visit(
          [&](auto& held) {
            using Value = typename std::decay_t<decltype(held)>::value_type;
            if constexpr (std::ranges::range<Value> && !std::is_same_v<Value, std::string>) {
              held[at] = Value(static_cast<std::size_t>(items[i] % 4), static_cast<float>(value));
            } else if constexpr (std::is_same_v<Value, std::string>) {
              held[at] = items[i] % 4 == 0 ? "" : spec.name + " of ünï ✓ " + std::to_string(value);
            } else if constexpr (std::is_same_v<Value, std::int8_t>) {
              held[at] =
                  static_cast<std::int8_t>(items[i] % 5 == 4 ? RowStatus::failed : RowStatus::ok);
            } else if constexpr (std::is_floating_point_v<Value>) {
              held[at] = value % 11 == 0 ? static_cast<Value>(marked_nan())
                                         : static_cast<Value>(value) / Value{7};
            } else {
              held[at] = static_cast<Value>(value * 1234567);
            }
          },
          values);
    }
  }
  return values;
}

template <class NumberOf>
ItemTable table_of(const std::vector<ColumnSpec>& specs,
                   const std::vector<std::int32_t>& item_bundle, std::int32_t bundle,
                   NumberOf number_of) {
  std::vector<std::int64_t> items;
  // Descending, since a bundle's order need not be the plan's.
  for (std::int64_t item = std::ssize(item_bundle) - 1; item >= 0; --item)
    if (item_bundle[static_cast<std::size_t>(item)] == bundle) items.push_back(item);
  ItemTable table;
  for (const std::int64_t item : items)
    table.index.push_back(number_of(static_cast<std::size_t>(item)));
  for (const ColumnSpec& spec : specs) table.columns.push_back({spec, values_of(spec, items)});
  return table;
}

inline ItemTable table_of(const std::vector<ColumnSpec>& specs,
                          const std::vector<std::int32_t>& item_bundle, std::int32_t bundle) {
  return table_of(specs, item_bundle, bundle,
                  [](std::size_t item) { return static_cast<std::int64_t>(item); });
}

inline BundleResult bundle_result(const Sweep& sweep, std::int32_t bundle) {
  return {BundleId{bundle},
          table_of(sweep.prompt_columns, sweep.prompt_bundle, bundle,
                   [&](std::size_t p) { return sweep.number_of_prompt(p); }),
          table_of(sweep.row_columns, sweep.row_bundle, bundle,
                   [&](std::size_t r) { return sweep.number_of_row(r); }),
          {bundle % 2, "node" + std::to_string(bundle % 2), "2024-05-01T12:00:00Z", 0.25 * bundle}};
}

}  // namespace rvsweep::sample
