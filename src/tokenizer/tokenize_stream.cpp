#include "rvsweep/tokenizer/tokenize_stream.hpp"

#include <algorithm>
#include <cstdint>
#include <istream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

nlohmann::json parsed(const std::string& line) {
  return nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
}

std::string text_of(const std::string& line, const std::string& where) {
  const nlohmann::json text = parsed(line);
  if (!text.is_string()) throw InputError(where, "is not a JSON string");
  return text.get<std::string>();
}

std::vector<std::int32_t> ids_of(const std::string& line, const std::string& where) {
  const nlohmann::json list = parsed(line);
  const auto is_id = [](const nlohmann::json& value) {
    return value.is_number_unsigned() && value <= INT32_MAX;
  };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_id))
    throw InputError(where, "is not a JSON array of token ids");
  return list.get<std::vector<std::int32_t>>();
}

nlohmann::json encoded(const Tokenizer& tokenizer, const std::string& text, TokenizeTo what,
                       const ChatTemplate* chat) {
  const Encoding encoding = chat != nullptr ? encode_prompt(tokenizer, chat, text).encoding
                                            : tokenizer.encode_with_spans(text);
  if (what == TokenizeTo::ids) return encoding.ids;
  nlohmann::json tokens = nlohmann::json::array();
  for (std::size_t i = 0; i < encoding.ids.size(); ++i)
    tokens.push_back({encoding.ids[i], encoding.spans[i].begin, encoding.spans[i].end});
  return tokens;
}

}  // namespace

int tokenize_stream(const Tokenizer& tokenizer, std::istream& in, std::ostream& out, bool json,
                    TokenizeTo what, const ChatTemplate* chat) {
  std::string line;
  for (std::size_t line_number = 1; std::getline(in, line); ++line_number) {
    const std::string where = "input line " + std::to_string(line_number);
    nlohmann::json result;
    if (what == TokenizeTo::text) {
      result = tokenizer.decode(ids_of(line, where));
    } else {
      const std::string text = json ? text_of(line, where) : line;
      try {
        result = encoded(tokenizer, text, what, chat);
      } catch (const InputError& error) {
        throw InputError(where, error.what());
      }
    }
    out << result << '\n';
  }
  if (!out.flush()) throw OutputError("standard output", "cannot be written");
  return 0;
}

}  // namespace rvsweep
