#include "tokenizer/normalizer.hpp"

#include "rvsweep/core/error.hpp"
#include "tokenizer/literal_pattern.hpp"

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
    steps_.push_back({"", place.member("prepend").text()});
  } else if (type == "Replace") {
    steps_.push_back({literal_pattern(place), place.member("content").text()});
  } else {
    place.refuse("normalizer " + type, "supported are Prepend, Replace and a Sequence of these");
  }
}

void Normalizer::apply(AlignedText& text) const {
  for (const Step& step : steps_) {
    if (text.text.empty()) return;
    if (step.pattern.empty())
      text.prepend(step.content);
    else
      text.replace(step.pattern, step.content);
  }
}

}  // namespace rvsweep
