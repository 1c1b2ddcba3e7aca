#pragma once
// Canonical composition as Hugging Face's tokenizers do it.
#include "tokenizer/aligned_text.hpp"

namespace rvsweep {

/// Unicode's Normalization Form C by the tables of Unicode 9.0, those of tokenizers 0.23: a mark
/// that is newer keeps its place, and nothing newer is decomposed. A character comes from all that
/// it was composed of. Well-formed UTF-8.
void to_nfc(AlignedText& text);

}  // namespace rvsweep
