#include "rvsweep/core/json_place.hpp"

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

const nlohmann::json absent;

}  // namespace

JsonPlace JsonPlace::member(const std::string& key) const {
  if (!value.is_object()) throw InputError(where(), "is not an object");
  const auto found = value.find(key);
  return {found == value.end() ? absent : *found, file, path.empty() ? key : path + "." + key};
}

JsonPlace JsonPlace::element(std::size_t index) const {
  return {array().at(index), file, path + "[" + std::to_string(index) + "]"};
}

const nlohmann::json& JsonPlace::array() const {
  if (!value.is_array()) throw InputError(where(), "is not a list");
  return value;
}

std::string JsonPlace::text() const {
  if (!value.is_string()) throw InputError(where(), "is not a text");
  return value.get<std::string>();
}

bool JsonPlace::flag() const {
  if (!value.is_boolean()) throw InputError(where(), "is neither true nor false");
  return value.get<bool>();
}

bool JsonPlace::flag_or(bool otherwise) const { return is_null() ? otherwise : flag(); }

std::int32_t JsonPlace::token_id() const {
  if (!value.is_number_integer() || value < 0 || value > max_token_id)
    throw InputError(where(), "is not a token id (0 to " + std::to_string(max_token_id) + ")");
  return value.get<std::int32_t>();
}

std::size_t JsonPlace::count() const {
  if (!value.is_number_integer() || value < 0 || value > INT32_MAX)
    throw InputError(where(), "is not a whole number from 0 to " + std::to_string(INT32_MAX));
  return value.get<std::size_t>();
}

void JsonPlace::refuse(const std::string& component, const std::string& supported) const {
  throw InputError(where(), component + " is not supported", supported);
}

}  // namespace rvsweep
