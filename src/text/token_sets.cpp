#include "rvsweep/text/token_sets.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

std::vector<std::int64_t> tokens_of(const nlohmann::json& file, const char* set,
                                    const std::string& where, const Tokenizer& tokenizer) {
  if (!file.is_object() || !file.contains(set) || !file[set].is_array() || file[set].empty())
    throw InputError(where, std::string("has no list of words \"") + set + "\"",
                     R"(write {"recursive": ["self", ...], "task": ["recipe", ...]})");
  std::set<std::int64_t> tokens;
  for (const auto& word : file[set]) {
    if (!word.is_string())
      throw InputError(where, std::string("\"") + set + "\" holds something that is no word",
                       "write every word as a string");
    for (const std::string& written : {word.get<std::string>(), " " + word.get<std::string>()})
      if (const auto ids = tokenizer.encode(written, /*add_special_tokens=*/false); ids.size() == 1)
        tokens.insert(ids.front());
  }
  if (tokens.empty())
    throw InputError(where, std::string("no word of \"") + set + "\" is one token of this model",
                     "name words that its tokenizer does not split");
  return {tokens.begin(), tokens.end()};
}

}  // namespace

TokenSets parse_token_sets(const std::string& json, const std::string& where,
                           const Tokenizer& tokenizer) {
  const auto file = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (file.is_discarded()) throw InputError(where, "is not JSON", "correct the file");
  TokenSets sets{tokens_of(file, "recursive", where, tokenizer),
                 tokens_of(file, "task", where, tokenizer)};
  std::vector<std::int64_t> both;
  std::ranges::set_intersection(sets.recursive, sets.task, std::back_inserter(both));
  if (!both.empty())
    throw InputError(where, "token " + std::to_string(both.front()) + " belongs to both sets",
                     "take its word out of one of them");
  return sets;
}

}  // namespace rvsweep
