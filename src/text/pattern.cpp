#include "rvsweep/text/pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "rvsweep/core/error.hpp"
#include "rvsweep/text/oniguruma_syntax.hpp"
#include "rvsweep/text/utf8.hpp"

namespace rvsweep {
namespace {

std::string message_of(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

}  // namespace

struct Pattern::Code {
  std::string where;
  UnicodeVersion version;
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> compiled{nullptr, pcre2_code_free};
};

Pattern::Pattern(std::string_view oniguruma, const std::string& where, UnicodeVersion version) {
  const std::string pattern = pcre2_from_oniguruma(oniguruma, where);
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_shared<Code>();
  code->where = where;
  code->version = version;
  code->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP, &error, &offset, context.get()));
  if (!code->compiled)
    throw InputError(where, "the regular expression is malformed (" + message_of(error) + ")");
  // Where no just-in-time compiler exists the same search runs interpreted.
  pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE);
  code_ = std::move(code);
}

std::vector<Span> Pattern::matches(std::string_view text) const {
  std::string storage;
  const std::string_view subject = with_stand_ins(text, code_->version, storage);
  const MatchData data(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  std::vector<Span> found;
  std::size_t start = 0;
  while (start <= subject.size()) {
    const auto search = [&](std::uint32_t options) {
      return pcre2_match(code_->compiled.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()),
                         subject.size(), start, PCRE2_NO_UTF_CHECK | options, data.get(), nullptr);
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
      start += start < subject.size() ? utf8::first(subject.substr(start)).size : 1;
    } else {
      found.push_back(span);
      start = span.end;
    }
  }
  return found;
}

}  // namespace rvsweep
