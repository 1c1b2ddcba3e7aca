#include "plan/arm_values.hpp"

#include <spdlog/fmt/fmt.h>

#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {

std::vector<std::int64_t> parse_heads(const std::string& text, std::int64_t n_heads) {
  std::set<std::int64_t> heads;
  if (text == "all") return {};
  for (const std::string& part : split(text, '+')) {
    const auto head = parse_number<std::int64_t>(part);
    if (!head || *head < 0 || *head >= n_heads)
      throw InputError(
          "", "heads=" + text + " is not a choice",
          "write all, or heads from 0 to " + std::to_string(n_heads - 1) + " joined by +");
    heads.insert(*head);
  }
  if (std::ssize(heads) == n_heads) return {};
  return {heads.begin(), heads.end()};
}

double parse_alpha(const std::string& text) {
  const auto alpha = parse_number<double>(text);
  if (!alpha || !(*alpha >= 0 && *alpha <= 1))
    throw InputError("", "alpha=" + text + " is not a share", "write a number from 0 to 1");
  return *alpha;
}

std::string parse_pairs(const std::string& text) {
  const auto parts = split(text, '~');
  if (parts.size() != 2 || parts[0].empty() || parts[1].empty())
    throw InputError("", "pairs=" + text + " does not name two groups",
                     "write pairs=SOURCE_GROUP~BASE_GROUP, or name* for all that begin so");
  return text;
}

std::int64_t parse_window(const std::string& text) {
  const auto window = parse_number<std::int64_t>(text);
  if (!window || *window < 1 || *window > longest_window_tokens)
    throw InputError(
        "", fmt::format("window={} is no number of tokens up to {}", text, longest_window_tokens),
        "write how many last tokens of the prompt are patched");
  return *window;
}

}  // namespace rvsweep
