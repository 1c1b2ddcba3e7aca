#include "tokenizer/literal_pattern.hpp"

#include "rvsweep/core/error.hpp"

namespace rvsweep {

std::string literal_pattern(const JsonPlace& component) {
  const JsonPlace pattern = component.member("pattern");
  if (!pattern.member("Regex").is_null())
    pattern.refuse("a regular expression", "supported is {\"String\": text}");
  std::string text = pattern.member("String").text();
  if (text.empty()) throw InputError(pattern.where() + ".String", "is empty");
  return text;
}

}  // namespace rvsweep
