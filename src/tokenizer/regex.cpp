#include "rvsweep/tokenizer/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/utf8.hpp"

namespace rvsweep {
namespace {

std::string message_of(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Regex::Code {
  std::string where;
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> compiled{nullptr, pcre2_code_free};
};

Regex::Regex(std::string_view expression, const std::string& where, LetterCase letter_case) {
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_shared<Code>();
  code->where = where;
  const std::uint32_t caseless = letter_case == LetterCase::ignored ? PCRE2_CASELESS : 0;
  code->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                                     expression.size(), PCRE2_UTF | PCRE2_UCP | caseless, &error,
                                     &offset, context.get()));
  if (!code->compiled)
    throw InputError(where, "the regular expression is malformed (" + message_of(error) +
                                " at byte " + std::to_string(offset) + ")");
  // Where no just-in-time compiler exists the same search runs interpreted.
  pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE);
  code_ = std::move(code);
}

std::vector<Span> Regex::matches(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  std::vector<Span> found;
  std::size_t start = 0;
  while (start <= text.size()) {
    const auto search = [&](std::uint32_t options) {
      return pcre2_match(code_->compiled.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                         text.size(), start, PCRE2_NO_UTF_CHECK | options, data.get(), nullptr);
    };
    int result = search(0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = search(PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0)
      throw InputError(code_->where, "the regular expression cannot be searched for in a text of " +
                                         std::to_string(text.size()) + " bytes (" +
                                         message_of(result) + ")");
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    const Span span{ends[0], ends[1]};
    if (span.begin == span.end && !found.empty() && found.back().end == span.end) {
      // An empty match right behind the last one: look on behind the next character.
      start += start < text.size() ? utf8::first(text.substr(start)).size : 1;
    } else {
      found.push_back(span);
      start = span.end;
    }
  }
  return found;
}

bool Regex::may_match_nothing() const {
  std::uint32_t answer = 0;
  pcre2_pattern_info(code_->compiled.get(), PCRE2_INFO_MATCHEMPTY, &answer);
  return answer != 0;
}

}  // namespace rvsweep
