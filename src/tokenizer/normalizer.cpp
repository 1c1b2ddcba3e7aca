#include "tokenizer/normalizer.hpp"

#include "rvsweep/core/error.hpp"
#include "tokenizer/literal_pattern.hpp"
#include "tokenizer/nfc.hpp"

namespace rvsweep {

Normalizer::Normalizer(const JsonPlace& place) {
  if (!place.is_null()) add(place);
}

void Normalizer::add(const JsonPlace& place) {
  const std::string type = place.type();
  if (type == "Sequence") {
    const JsonPlace parts = place.member("normalizers");
    for (std::size_t i = 0; i < parts.array().size(); ++i) add(parts.element(i));
  } else if (type == "Prepend") {
    const std::string content = place.member("prepend").text();
    steps_.emplace_back([content](AlignedText& text) { text.prepend(content); });
  } else if (type == "Replace") {
    const std::string pattern = literal_pattern(place), content = place.member("content").text();
    steps_.emplace_back([pattern, content](AlignedText& text) { text.replace(pattern, content); });
  } else if (type == "NFC") {
    steps_.emplace_back(to_nfc);
  } else {
    place.refuse("normalizer " + type,
                 "supported are NFC, Prepend, Replace and a Sequence of these");
  }
}

void Normalizer::apply(AlignedText& text) const {
  for (const auto& step : steps_)
    if (!text.text.empty()) step(text);
}

}  // namespace rvsweep
