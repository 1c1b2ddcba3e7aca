#pragma once
// Values of JSON files, with errors that say where they are.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/ids.hpp"

namespace rvsweep {

/// Throws InputError of `where` when `content` begins as what is often found in a file's place: a
/// Git LFS pointer or a web page.
void refuse_stand_in(std::string_view content, const std::string& where);

/// The tree of JSON text. Throws InputError of `where` and `advice`, with the byte, when it is not
/// JSON or not UTF-8, stands in for another file, or holds a number beyond a double.
nlohmann::json parse_json(const std::string& text, const std::string& where,
                          const std::string& advice = "");

/// A value of a JSON file and its path in it. The file's tree must outlive it. Every InputError
/// names file and path, and advises `advice`.
struct JsonPlace {
  const nlohmann::json& value;
  std::string file;
  std::string path;         // "pre_tokenizer.pretokenizers[0]"; empty for the whole file
  std::string advice = {};  // what to do about a value of the wrong type

  /// Member `key`, null where the object lacks it.
  JsonPlace member(const std::string& key) const;
  JsonPlace element(std::size_t index) const;
  bool is_null() const { return value.is_null(); }

  /// Each throws InputError when the value has another type.
  const nlohmann::json& array() const;
  std::string text() const;
  bool flag() const;
  bool flag_or(bool otherwise) const;  // `otherwise` where it is null
  std::int32_t token_id() const;       // 0 to max_token_id
  std::size_t count() const;           // a whole number from 0 to 2^31 - 1

  /// Whether it has a member `key` that is not null.
  bool has(const std::string& key) const { return value.contains(key) && !value[key].is_null(); }
  /// Member `key` as a bool, number, text or list of these. Throws InputError when the object does
  /// not have it, with another type, or with a number that T does not hold.
  template <class T>
  T get(const std::string& key) const;
  template <class T>
  T get(const std::string& key, T otherwise) const {
    return has(key) ? get<T>(key) : otherwise;
  }
  std::int64_t positive(const std::string& key) const;  // member `key`, above 0

  /// The member "type" of a component; throws where there is none.
  std::string type() const { return member("type").text(); }

  /// "<file>, <path>"
  std::string where() const { return path.empty() ? file : file + ", " + path; }
  /// Throws InputError: `component` is not supported, `supported` says what is.
  [[noreturn]] void refuse(const std::string& component, const std::string& supported) const;
};

/// Whether T has the value's numbers, 32 that of 32.0 too; nlohmann_json would cut others to fit.
template <class T>
bool holds(const nlohmann::json& value) {
  if constexpr (std::same_as<T, bool> || std::same_as<T, std::string>) {
    return true;
  } else if constexpr (std::integral<T>) {
    if (value.is_number_unsigned()) return std::in_range<T>(value.get<std::uint64_t>());
    if (value.is_number_integer()) return std::in_range<T>(value.get<std::int64_t>());
    constexpr double exact = 1LL << 53;
    const double number = value.is_number_float() ? value.get<double>() : 0;
    return std::abs(number) <= exact && number == std::trunc(number) &&
           std::in_range<T>(static_cast<std::int64_t>(number));
  } else if constexpr (requires { typename T::value_type; }) {
    return std::ranges::all_of(value, holds<typename T::value_type>);
  } else {
    return true;
  }
}

template <class T>
T JsonPlace::get(const std::string& key) const {
  if (!has(key)) throw InputError(where(), "has no \"" + key + "\"", "the file is not complete");
  const nlohmann::json& found = value[key];
  const auto wrong = [&] {
    return InputError(where(), "\"" + key + "\" is " + found.dump() + ", which has the wrong type",
                      advice);
  };
  if (!holds<T>(found)) throw wrong();
  try {
    return found.template get<T>();
  } catch (const nlohmann::json::exception&) {
    throw wrong();
  }
}

}  // namespace rvsweep
