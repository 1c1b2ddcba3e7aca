#include "rvsweep/metrics/ngrams.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "rvsweep/text/words.hpp"

namespace rvsweep {
namespace {

/// Every run of 4 words, joined by spaces (no word holds one), in order.
std::vector<std::string> four_grams(std::string_view text) {
  const auto all = words(text);
  std::vector<std::string> runs;
  for (std::size_t i = 0; i + 4 <= all.size(); ++i)
    runs.push_back(all[i] + " " + all[i + 1] + " " + all[i + 2] + " " + all[i + 3]);
  return runs;
}

double share(std::size_t part, std::size_t all) {
  return all == 0 ? std::numeric_limits<double>::quiet_NaN()
                  : static_cast<double>(part) / static_cast<double>(all);
}

}  // namespace

double copied_ngrams(std::string_view text, std::string_view prompt) {
  const auto in_prompt = four_grams(prompt);
  const std::set<std::string> known(in_prompt.begin(), in_prompt.end());
  const auto in_text = four_grams(text);
  const auto copied =
      std::ranges::count_if(in_text, [&](const std::string& run) { return known.contains(run); });
  return share(static_cast<std::size_t>(copied), in_text.size());
}

double repeated_ngrams(std::string_view text) {
  const auto runs = four_grams(text);
  const std::set<std::string> distinct(runs.begin(), runs.end());
  return share(runs.size() - distinct.size(), runs.size());
}

}  // namespace rvsweep
