#include "tokenizer/decoder.hpp"

#include <numeric>
#include <optional>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/utf8.hpp"
#include "tokenizer/literal_pattern.hpp"

namespace rvsweep {
namespace {

using Tokens = std::vector<std::string>;

std::string joined(const Tokens& tokens) {
  return std::accumulate(tokens.begin(), tokens.end(), std::string());
}

void replace_all(std::string& text, const std::string& pattern, const std::string& content) {
  for (std::size_t at = 0; (at = text.find(pattern, at)) != std::string::npos; at += content.size())
    text.replace(at, pattern.size(), content);
}

/// The byte that a token "<0x0A>" stands for.
std::optional<char> fallback_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const auto byte = parse_number<unsigned>(std::string_view(token).substr(3, 2), /*base=*/16);
  return byte ? std::optional(static_cast<char>(*byte)) : std::nullopt;
}

/// Bytes in a row become their text, or U+FFFD each where all together are not UTF-8.
Tokens with_bytes_joined(const Tokens& tokens) {
  Tokens result;
  std::string bytes;
  const auto end_run = [&] {
    if (utf8::first_ill_formed(bytes) == std::string::npos)
      result.push_back(bytes);
    else
      result.insert(result.end(), bytes.size(), "\xEF\xBF\xBD");
    bytes.clear();
  };
  for (const std::string& token : tokens) {
    if (const auto byte = fallback_byte(token)) {
      bytes.push_back(*byte);
      continue;
    }
    if (!bytes.empty()) end_run();
    result.push_back(token);
  }
  if (!bytes.empty()) end_run();
  return result;
}

}  // namespace

Decoder::Decoder(const JsonPlace& place, Symbols symbols) {
  if (place.is_null())
    place.refuse("null (tokens joined by spaces)",
                 "supported are ByteLevel, and with byte_fallback a Sequence of Replace, "
                 "ByteFallback, Fuse and Strip");
  add(place, symbols);
}

void Decoder::add(const JsonPlace& place, Symbols symbols) {
  const std::string type = place.type();
  if (type == "Sequence") {
    const JsonPlace parts = place.member("decoders");
    for (std::size_t i = 0; i < parts.array().size(); ++i) add(parts.element(i), symbols);
    return;
  }
  if (symbols == Symbols::bytes) {
    if (type != "ByteLevel") place.refuse(type, "supported is ByteLevel");
    if (!steps_.empty()) place.refuse("a second ByteLevel", "supported is ByteLevel alone");
    steps_.push_back([](Tokens& tokens) { tokens = {utf8::replace_ill_formed(joined(tokens))}; });
  } else if (type == "Replace") {
    const std::string pattern = literal_pattern(place), content = place.member("content").text();
    steps_.push_back([pattern, content](Tokens& tokens) {
      for (std::string& token : tokens) replace_all(token, pattern, content);
    });
  } else if (type == "ByteFallback") {
    steps_.push_back([](Tokens& tokens) { tokens = with_bytes_joined(tokens); });
  } else if (type == "Fuse") {
    steps_.push_back([](Tokens& tokens) { tokens = {joined(tokens)}; });
  } else if (type == "Strip") {
    if (place.member("stop").count() != 0)
      place.refuse("Strip at the end", "supported is Strip at the front");
    const std::string content = place.member("content").text();
    if (content.empty()) throw InputError(place.where() + ".content", "is empty");
    steps_.push_back([content, most = place.member("start").count()](Tokens& tokens) {
      for (std::string& token : tokens)
        for (std::size_t i = 0; i < most && token.starts_with(content); ++i)
          token.erase(0, content.size());
    });
  } else {
    place.refuse(type, "supported with byte_fallback are Replace, ByteFallback, Fuse and Strip");
  }
}

std::string Decoder::text(Tokens tokens) const {
  for (const auto& step : steps_) step(tokens);
  return joined(tokens);
}

}  // namespace rvsweep
