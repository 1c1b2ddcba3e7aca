#include "experiment/behaviour.hpp"

#include "rvsweep/core/error.hpp"
#include "rvsweep/metrics/keywords.hpp"
#include "rvsweep/metrics/malformed.hpp"
#include "rvsweep/metrics/ngrams.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {

std::map<std::size_t, std::string> fill_behaviour(const std::vector<TextOfRow>& texts,
                                                  const std::vector<RegexFamily>& families,
                                                  ItemTable& table) {
  std::map<std::size_t, std::string> failures;
  const auto fill = [&](auto key, const auto& metric) {
    auto* values = find_column(table, key);
    if (values == nullptr) return;
    for (const TextOfRow& of_row : texts) {
      if (failures.contains(of_row.row)) continue;
      try {
        (*values)[of_row.row] = metric(of_row);
      } catch (const InputError& error) {  // a pattern that gives up on this text
        failures.emplace(of_row.row, error.what());
      }
    }
  };
  using Of = const TextOfRow&;
  fill(columns::keyword_count, [](Of row) { return keyword_count(row.text); });
  fill(columns::keyword_rate, [](Of row) { return keyword_rate(row.text); });
  for (const RegexFamily& family : families)
    fill(ColumnKey<std::int32_t>{family.name.c_str()},
         [&](Of row) { return family.count(row.text); });
  fill(columns::copied_ngrams, [](Of row) { return copied_ngrams(row.text, row.prompt); });
  fill(columns::keyword_count_new, [](Of row) { return keyword_count_new(row.text, row.prompt); });
  fill(columns::repeated_ngrams, [](Of row) { return repeated_ngrams(row.text); });
  fill(columns::repetitive, [&](Of row) {
    return column(table, columns::repeated_ngrams)[row.row] >= repetitive_from ? 1 : 0;
  });
  fill(columns::malformed, [](Of row) { return is_malformed(row.text, row.is_cut) ? 1 : 0; });
  fill(columns::answer_in_text, [](Of row) {
    return row.answer.empty() ? -1 : occurs_in(row.answer, row.text) ? 1 : 0;
  });
  return failures;
}

}  // namespace rvsweep
