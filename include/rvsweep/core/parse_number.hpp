#pragma once
#include <charconv>
#include <optional>
#include <string_view>

namespace rvsweep {

/// `text` as a number, none where it is anything else: blanks, a plus sign, further characters and
/// values that T does not hold. Whole numbers are in base 10 unless `base` says otherwise; reals
/// may be "nan" or "inf".
template <class T, class... Base>
std::optional<T> parse_number(std::string_view text, Base... base) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value, base...);
  return error == std::errc{} && rest == end ? std::optional(value) : std::nullopt;
}

}  // namespace rvsweep
