#include "rvsweep/text/answers.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {
namespace {

std::int64_t first_token(const std::string& text, const Tokenizer& tokenizer) {
  const auto [ids, spans] = tokenizer.encode_with_spans("\n" + text, /*add_special_tokens=*/false);
  const auto first =
      std::ranges::find_if(spans, [](const Span& span) { return span.end > std::size_t{1}; });
  if (first != spans.end() && first->begin == 1) return ids[first - spans.begin()];
  throw InputError("answer \"" + text + "\"", "has no first token of its own for this model",
                   "write text that does not begin with a line break");
}

std::vector<std::int64_t> first_tokens(const Answer& answer, const Tokenizer& tokenizer) {
  std::set<std::int64_t> tokens;
  for (const std::string& text : answer) tokens.insert(first_token(text, tokenizer));
  return {tokens.begin(), tokens.end()};
}

}  // namespace

Answer parse_answer(const std::string& json, const std::string& where) {
  if (json.empty()) return {};  // of nearly all lines
  const auto value = nlohmann::json::parse(json);
  if (value.is_null()) return {};
  const auto texts = value.is_array() ? value : nlohmann::json::array({value});
  Answer answer;
  for (const auto& text : texts) {
    if (!text.is_string() || trimmed(text.get<std::string>()).empty())
      throw InputError(where, "holds an answer that is no text, or blank: " + text.dump(),
                       R"(write "answer": " Paris", or a list of such texts)");
    answer.push_back(text);
  }
  if (answer.empty())
    throw InputError(where, "holds a list of answers without any",
                     "leave the key out where no answer is known");
  return answer;
}

std::string answer_json(const Answer& answer) {
  return answer.empty() ? "" : nlohmann::json(answer).dump();
}

bool AnswerTokens::differ() const {
  return !source.empty() && !base.empty() && std::ranges::none_of(source, [&](std::int64_t token) {
    return std::ranges::binary_search(base, token);
  });
}

AnswerTokens first_tokens(const PairAnswers& answers, const Tokenizer& tokenizer) {
  return {first_tokens(answers.source, tokenizer), first_tokens(answers.base, tokenizer)};
}

bool occurs_in(const Answer& answer, std::string_view text) {
  return std::ranges::any_of(answer, [&](const std::string& one) {
    return text.find(trimmed(one)) != std::string_view::npos;
  });
}

}  // namespace rvsweep
