#include "rvsweep/metrics/malformed.hpp"

namespace rvsweep {

bool is_malformed(std::string_view text, bool is_cut) {
  constexpr std::string_view replacement = "\xEF\xBF\xBD";
  while (is_cut && text.ends_with(replacement)) text.remove_suffix(replacement.size());
  return text.find(replacement) != text.npos;
}

}  // namespace rvsweep
