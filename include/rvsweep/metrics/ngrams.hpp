#pragma once
// Copying and repetition, by runs of 4 words (text/words.hpp; punctuation and case do not matter).
#include <string_view>

namespace rvsweep {

/// Share of the text's word 4-grams, repeats counted, that occur in the prompt: 0..1. NaN for a
/// text of fewer than 4 words; 0 where only the prompt has fewer.
double copied_ngrams(std::string_view text, std::string_view prompt);

/// Share of the text's word 4-grams that occurred earlier in it: 0 where all differ, near 1 for a
/// loop. NaN for a text of fewer than 4 words. It is seq-rep-4 (1 - distinct / all) of Welleck et
/// al. 2020, "Neural text generation with unlikelihood training", over words.
double repeated_ngrams(std::string_view text);

/// A text whose repeated_ngrams reach this is repetitive: prose stays below a few hundredths, a
/// loop over the last third of a text reaches it.
inline constexpr double repetitive_from = 0.3;

}  // namespace rvsweep
