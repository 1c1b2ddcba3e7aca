#include "rvsweep/core/json_place.hpp"

namespace rvsweep {

void refuse_stand_in(std::string_view content, const std::string& where) {
  if (content.starts_with("version https://git-lfs"))
    throw InputError(where, "is a Git LFS pointer", "fetch the file itself: git lfs pull");
  if (content.starts_with("<"))
    throw InputError(where, "is a web page", "download the file itself, logged in where it asks");
}

nlohmann::json parse_json(const std::string& text, const std::string& where,
                          const std::string& advice) {
  refuse_stand_in(text, where);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    // Its own message repeats the bytes read, which need not be UTF-8.
    const std::string place = text.substr(error.byte < 3 ? 0 : error.byte - 3, 8);
    const bool of_python = place.find("NaN") < 8 || place.find("Inf") < 8;
    throw InputError(where,
                     "is not valid JSON in UTF-8 at byte " + std::to_string(error.byte) +
                         (of_python ? ": JSON has neither NaN nor Infinity" : ""),
                     advice);
  } catch (const nlohmann::json::out_of_range&) {
    throw InputError(where, "has a number beyond the range of a double", advice);
  }
}

JsonPlace JsonPlace::member(const std::string& key) const {
  static const nlohmann::json absent;
  if (!value.is_object()) throw InputError(where(), "is not an object", advice);
  const auto found = value.find(key);
  return {found == value.end() ? absent : *found, file, path.empty() ? key : path + "." + key,
          advice};
}

JsonPlace JsonPlace::element(std::size_t index) const {
  return {array().at(index), file, path + "[" + std::to_string(index) + "]", advice};
}

const nlohmann::json& JsonPlace::array() const {
  if (!value.is_array()) throw InputError(where(), "is not a list", advice);
  return value;
}

std::string JsonPlace::text() const {
  if (!value.is_string()) throw InputError(where(), "is not a text", advice);
  return value.get<std::string>();
}

bool JsonPlace::flag() const {
  if (!value.is_boolean()) throw InputError(where(), "is neither true nor false", advice);
  return value.get<bool>();
}

bool JsonPlace::flag_or(bool otherwise) const { return is_null() ? otherwise : flag(); }

std::int32_t JsonPlace::token_id() const {
  if (!value.is_number_integer() || value < 0 || value > max_token_id)
    throw InputError(where(), "is not a token id (0 to " + std::to_string(max_token_id) + ")",
                     advice);
  return value.get<std::int32_t>();
}

std::size_t JsonPlace::count() const {
  if (!value.is_number_integer() || value < 0 || value > INT32_MAX)
    throw InputError(where(), "is not a whole number from 0 to " + std::to_string(INT32_MAX),
                     advice);
  return value.get<std::size_t>();
}

std::int64_t JsonPlace::positive(const std::string& key) const {
  const auto number = get<std::int64_t>(key);
  if (number <= 0)
    throw InputError(where(), "\"" + key + "\" is " + std::to_string(number),
                     "it must be positive");
  return number;
}

void JsonPlace::refuse(const std::string& component, const std::string& supported) const {
  throw InputError(where(), component + " is not supported", supported);
}

}  // namespace rvsweep
