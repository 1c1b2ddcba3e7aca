#include "tokenizer/template_processor.hpp"

#include <string>

namespace rvsweep {
namespace {

const char* const supported =
    "supported are null, ByteLevel, and TemplateProcessing with the text once";

void read_template(const JsonPlace& place, SpecialTokenTemplate& result) {
  const JsonPlace pieces = place.member("single");
  const JsonPlace special_tokens = place.member("special_tokens");
  bool text_seen = false;
  for (std::size_t i = 0; i < pieces.array().size(); ++i) {
    const JsonPlace piece = pieces.element(i);
    if (const JsonPlace sequence = piece.member("Sequence"); !sequence.is_null()) {
      if (text_seen || sequence.member("id").text() != "A")
        piece.refuse("a template with more than one text", supported);
      text_seen = true;
      continue;
    }
    const std::string name = piece.member("SpecialToken").member("id").text();
    const JsonPlace ids = special_tokens.member(name).member("ids");
    for (std::size_t k = 0; k < ids.array().size(); ++k)
      (text_seen ? result.after : result.before).push_back(ids.element(k).token_id());
  }
  if (!text_seen) pieces.refuse("a template without the text", supported);
}

void read(const JsonPlace& place, SpecialTokenTemplate& result) {
  const std::string type = place.type();
  if (type == "Sequence") {
    const JsonPlace parts = place.member("processors");
    for (std::size_t i = 0; i < parts.array().size(); ++i) read(parts.element(i), result);
  } else if (type == "TemplateProcessing") {
    if (!result.before.empty() || !result.after.empty())
      place.refuse("a second TemplateProcessing", supported);
    read_template(place, result);
  } else if (type != "ByteLevel") {
    place.refuse(type, supported);
  }
}

}  // namespace

SpecialTokenTemplate read_post_processor(const JsonPlace& place) {
  SpecialTokenTemplate result;
  if (!place.is_null()) read(place, result);
  return result;
}

}  // namespace rvsweep
