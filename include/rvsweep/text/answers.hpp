#pragma once
// What the model may answer to the prompts of a pair: texts of which the first token counts.
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// Texts as the model would write them, with a space in front where it writes one; empty: unknown.
using Answer = std::vector<std::string>;

struct PairAnswers {
  Answer source, base;
  bool operator==(const PairAnswers&) const = default;
  static auto fields(auto& self) { return std::tie(self.source, self.base); }
};

/// Of JSON: a text or a list of texts; none of "" and null. Throws InputError naming `where` for
/// another value, a list without texts, a text without anything but blanks.
Answer parse_answer(const std::string& json, const std::string& where);
/// A JSON list, which parse_answer reads; "" of an unknown answer.
std::string answer_json(const Answer& answer);

/// Ascending token ids, each once.
struct AnswerTokens {
  std::vector<std::int64_t> source, base;
  /// Whether a logit difference has a meaning: both are known and share no token.
  bool differ() const;
};

/// The first token of each text where it follows a line break, behind which no tokenizer adds a
/// space of its own. Throws InputError naming the text when it has no such token, because it begins
/// with a line break or nothing of it reaches the model.
AnswerTokens first_tokens(const PairAnswers& answers, const Tokenizer& tokenizer);

/// Whether a text of the answer, blanks around it left out, occurs in `text` as it is written.
bool occurs_in(const Answer& answer, std::string_view text);

}  // namespace rvsweep
