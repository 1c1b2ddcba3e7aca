#pragma once
// The special tokens put around a text, such as a begin-of-text token.
#include <cstdint>
#include <vector>

#include "rvsweep/core/json_place.hpp"

namespace rvsweep {

struct SpecialTokenTemplate {
  std::vector<std::int32_t> before, after;
};

/// From the `post_processor` of tokenizer.json: null, ByteLevel (which moves offsets only),
/// TemplateProcessing (its `single` template) or a Sequence of these. Throws InputError naming any
/// other.
SpecialTokenTemplate read_post_processor(const JsonPlace& place);

}  // namespace rvsweep
