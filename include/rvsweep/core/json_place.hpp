#pragma once
// Values of JSON files, with errors that say where they are.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "rvsweep/core/ids.hpp"

namespace rvsweep {

/// A value of a JSON file and its place in it. The file's tree must outlive it.
struct JsonPlace {
  const nlohmann::json& value;
  std::string file;
  std::string path;  // "pre_tokenizer.pretokenizers[0]"; empty for the whole file

  /// Member `key`, null where the object lacks it.
  JsonPlace member(const std::string& key) const;
  JsonPlace element(std::size_t index) const;
  bool is_null() const { return value.is_null(); }

  /// Each throws InputError naming the place when the value has another type.
  const nlohmann::json& array() const;
  std::string text() const;
  bool flag() const;
  bool flag_or(bool otherwise) const;  // `otherwise` where it is null
  std::int32_t token_id() const;       // 0 to max_token_id
  std::size_t count() const;           // a whole number from 0 to 2^31 - 1

  /// The member "type" of a component; throws where there is none.
  std::string type() const { return member("type").text(); }

  /// "<file>, <path>"
  std::string where() const { return path.empty() ? file : file + ", " + path; }
  /// Throws InputError: `component` is not supported, `supported` says what is.
  [[noreturn]] void refuse(const std::string& component, const std::string& supported) const;
};

}  // namespace rvsweep
