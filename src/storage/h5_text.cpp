#include "storage/h5_text.hpp"

#include "rvsweep/core/utf8.hpp"

namespace rvsweep::h5 {

std::string storable_text(std::string_view text) {
  std::string storable;
  storable.reserve(text.size());
  while (!text.empty()) {
    const utf8::Step step = utf8::first(text);
    const std::size_t size = step.well_formed ? step.size : 1;
    if (text[0] == '\0')
      storable += "\xE2\x90\x80";
    else if (step.well_formed)
      storable += text.substr(0, size);
    else
      storable += "\xEF\xBF\xBD";
    text.remove_prefix(size);
  }
  return storable;
}

}  // namespace rvsweep::h5
