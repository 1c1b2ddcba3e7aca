#pragma once
// How the choices of an arm's settings are written, in the order of their enums.
#include <string>
#include <vector>

namespace rvsweep::arm_text {

inline const std::vector<std::string> decode{"prefill", "persist"};
inline const std::vector<std::string> operation{"replace",     "add",   "add",
                                                "project_out", "scale", "replace"};
inline const std::vector<std::string> window_policy{"refuse", "shrink"};
inline const std::vector<std::string> entry{"hold_last", "refeed"};
inline const std::vector<std::string> growth{"append", "frozen", "compound"};
inline const std::vector<std::string> align{"as_is", "rerotate", "matched"};
inline const std::vector<std::string> what{"kv", "k", "v"};
inline const std::vector<std::string> positions{"all", "first",   "last",  "span",
                                                "bos", "not_bos", "words", "span"};
inline const std::vector<std::string> direction{"source_to_base", "base_to_source"};

template <class Enum>
const std::string& name_of(const std::vector<std::string>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

}  // namespace rvsweep::arm_text
