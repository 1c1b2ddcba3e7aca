// Reads JSON lines {"text": ..., "prompt": ...} from stdin and prints for each one JSON line with
// its behaviour columns (NaN as null), counted with the families of the file named, or the shipped
// ones.
#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "experiment/behaviour.hpp"
#include "experiment/columns.hpp"
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
    const auto columns = row_columns(config, ModelConfig(), {}, families.families);
    std::string line;
    while (std::getline(std::cin, line)) {
      const json given = json::parse(line);
      const auto text = given.at("text").get<std::string>();
      const auto prompt = given.at("prompt").get<std::string>();
      ItemTable table = empty_table(columns, {0});
      fill_behaviour({text, prompt}, families.families, 0, table);
      json scores;
      for (const char* name : {"keyword_count", "keyword_count_new", "repetitive"})
        scores[name] = column<std::int32_t>(table, name)[0];
      for (const char* name : {"keyword_rate", "copied_ngrams", "repeated_ngrams"})
        scores[name] = column<double>(table, name)[0];
      for (const RegexFamily& family : families.families)
        scores[family.name] = column<std::int32_t>(table, family.name)[0];
      std::cout << scores << "\n";
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
