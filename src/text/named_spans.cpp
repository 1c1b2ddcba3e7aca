#include "rvsweep/text/named_spans.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/utf8.hpp"
#include "text/records.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

/// Bytes where the characters of `text` begin, and its end.
std::vector<std::size_t> character_bytes(std::string_view text) {
  std::vector<std::size_t> bytes{0};
  while (bytes.back() < text.size())
    bytes.push_back(bytes.back() + utf8::first(text.substr(bytes.back())).size);
  return bytes;
}

/// [begin, end) in characters of a part that occurs in `text` once.
json only_place(const std::string& part, std::string_view text, const std::string& what,
                const std::string& where) {
  const auto at = text.find(part);
  if (part.empty() || at == std::string_view::npos)
    throw InputError(where, what + " is \"" + part + "\", which the prompt does not hold",
                     "write a part of its text, or [begin, end) in characters");
  if (text.find(part, at + 1) != std::string_view::npos)
    throw InputError(where, what + " is \"" + part + "\", which the prompt holds several times",
                     "write [begin, end) in characters");
  const auto bytes = character_bytes(text);
  const auto character = [&](std::size_t byte) {
    return std::ranges::lower_bound(bytes, byte) - bytes.begin();
  };
  return {character(at), character(at + part.size())};
}

json place_of(const json& written, std::string_view text, const std::string& what,
              const std::string& where) {
  if (written.is_string()) return only_place(written, text, what, where);
  const auto size = std::ssize(character_bytes(text)) - 1;
  if (written.is_array() && written.size() == 2 && written[0].is_number_integer() &&
      written[1].is_number_integer() && written[0] >= 0 && written[0] < written[1] &&
      written[1] <= static_cast<std::uint64_t>(size))
    return written;
  throw InputError(where, what + " is " + written.dump(),
                   fmt::format("write a part of the prompt's text, or [begin, end) in its {} "
                               "characters",
                               size));
}

}  // namespace

bool is_span_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && letter(name.front()) && std::ranges::all_of(name, [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string read_spans(const std::string& json_text, const std::string& side, std::string_view text,
                       const std::string& where) {
  if (json_text == "null") return "";  // of nearly all records
  const json written = json::parse(json_text);
  if (!written.is_object())
    throw InputError(where, "\"spans\" is not an object of names and parts",
                     R"(write {"place": "Eiffel Tower"}, in JSON lines)");
  json places = json::object();
  for (const auto& [name, value] : written.items()) {
    const std::string what = "span \"" + name + "\"";
    if (!is_span_name(name))
      throw InputError(where, what + " is no name",
                       "begin with a letter, then letters, digits, _ and -");
    if (value.is_object() && !side.empty()) refuse_other_sides(value, what, where);
    if (!value.is_object())
      places[name] = place_of(value, text, what, where);
    else if (side.empty())
      throw InputError(where, what + " is " + value.dump(), "a bank has no sides");
    else if (value.contains(side))
      places[name] = place_of(value[side], text, what + " of the " + side, where);
  }
  return places.empty() ? "" : places.dump();
}

std::vector<std::string> span_names(const std::string& spans) {
  std::vector<std::string> names;
  const json places = spans.empty() ? json::object() : json::parse(spans);
  for (const auto& [name, place] : places.items()) names.push_back(name);
  return names;
}

std::vector<std::int32_t> span_tokens(const std::string& spans, const std::string& name,
                                      std::string_view text, std::span<const Span> tokens) {
  if (spans.empty()) return {};
  const json places = json::parse(spans);
  if (!places.contains(name)) return {};
  const auto bytes = character_bytes(text);
  const auto [begin, end] = places[name].get<std::pair<std::size_t, std::size_t>>();
  std::vector<std::int32_t> found;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (std::max(tokens[i].begin, bytes.at(begin)) < std::min(tokens[i].end, bytes.at(end)))
      found.push_back(static_cast<std::int32_t>(i));
  return found;
}

}  // namespace rvsweep
