// Reads JSON lines {"text": ..., "prompt": ...} from stdin and prints for each one JSON line with
// its behaviour columns (NaN as null), counted with the families of the file named, or the shipped
// ones.
#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "experiment/behaviour.hpp"
#include "rvsweep/core/builtin_files.hpp"
#include "rvsweep/plan/result_schema.hpp"

int main(int argc, char** argv) {
  using namespace rvsweep;
  using nlohmann::json;
  try {
    const std::string file = argc > 1 ? argv[1] : "builtin";
    const RegexFamilies families =
        parse_regex_families(builtin_or_file(file, "regex_families.json", "families"), file);
    SweepConfig config;
    config.readouts.copying = true;
    const auto specs = row_columns(config, ModelConfig(), {}, families.families);
    std::string line;
    while (std::getline(std::cin, line)) {
      const json given = json::parse(line);
      const auto text = given.at("text").get<std::string>();
      const auto prompt = given.at("prompt").get<std::string>();
      ItemTable table = empty_table(specs, {0});
      for (const auto& [row, reason] :
           fill_behaviour({{0, text, prompt}}, families.families, table))
        throw std::runtime_error(reason);
      json scores;
      for (const auto key :
           {columns::keyword_count, columns::keyword_count_new, columns::repetitive})
        scores[key.name] = column(table, key)[0];
      for (const auto key :
           {columns::keyword_rate, columns::copied_ngrams, columns::repeated_ngrams})
        scores[key.name] = column(table, key)[0];
      for (const RegexFamily& family : families.families)
        scores[family.name] = column(table, ColumnKey<std::int32_t>{family.name.c_str()})[0];
      std::cout << scores << "\n";
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
