#include "experiment/behaviour.hpp"

#include "experiment/columns.hpp"
#include "rvsweep/metrics/keywords.hpp"
#include "rvsweep/metrics/ngrams.hpp"

namespace rvsweep {

void fill_behaviour(const TextOfRow& of_row, const std::vector<RegexFamily>& families,
                    std::size_t row, ItemTable& table) {
  const auto& [text, prompt] = of_row;
  if (auto* count = find_column<std::int32_t>(table, "keyword_count")) {
    (*count)[row] = keyword_count(text);
    column<double>(table, "keyword_rate")[row] = keyword_rate(text);
    for (const RegexFamily& family : families)
      column<std::int32_t>(table, family.name)[row] = family.count(text);
  }
  if (auto* copied = find_column<double>(table, "copied_ngrams")) {
    (*copied)[row] = copied_ngrams(text, prompt);
    column<std::int32_t>(table, "keyword_count_new")[row] = keyword_count_new(text, prompt);
    const double repeated = repeated_ngrams(text);
    column<double>(table, "repeated_ngrams")[row] = repeated;
    column<std::int32_t>(table, "repetitive")[row] = repeated >= repetitive_from ? 1 : 0;
  }
}

}  // namespace rvsweep
