#include "rvsweep/text/regex_families.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/json_place.hpp"
#include "rvsweep/core/nearest.hpp"

namespace rvsweep {
namespace {

void check_members(const JsonPlace& place, const std::vector<std::string>& known) {
  if (!place.value.is_object()) throw InputError(place.where(), "is not an object");
  for (const auto& [key, value] : place.value.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw InputError(place.where(), "has an unknown member \"" + key + "\"",
                       name_hint(key, known));
}

std::string required_text(const JsonPlace& place, const std::string& key) {
  const JsonPlace member = place.member(key);
  if (member.is_null()) throw InputError(place.where(), "has no \"" + key + "\"");
  return member.text();
}

std::vector<std::string> texts(const JsonPlace& list) {
  std::vector<std::string> found;
  for (std::size_t i = 0; !list.is_null() && i < list.array().size(); ++i)
    found.push_back(list.element(i).text());
  return found;
}

bool is_column_name(std::string_view name) {
  for (std::string_view group : {"recursive_", "technical_"})
    if (name.starts_with(group) && name.size() > group.size())
      return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
      });
  return false;
}

void check_examples(const RegexFamily& family, const std::string& where) {
  const auto check = [&](const std::vector<std::string>& sentences, bool is_to_match) {
    for (const std::string& sentence : sentences)
      if ((family.count(sentence) > 0) != is_to_match)
        throw InputError(
            where, "its example \"" + sentence + "\" has " + (is_to_match ? "no match" : "a match"),
            "change the patterns or the example");
  };
  check(family.matches, true);
  check(family.no_match, false);
}

RegexFamily parse_family(const JsonPlace& place, std::int32_t version) {
  check_members(place, {"name", "description", "patterns", "matches", "no_match"});
  RegexFamily family;
  family.name = required_text(place, "name");
  if (!is_column_name(family.name))
    throw InputError(place.where(), "\"" + family.name + "\" cannot name a family",
                     "write recursive_ or technical_ and lower-case letters, digits or _");
  family.description = required_text(place, "description");
  family.definition = family.name + "/" + std::to_string(version) +
                      ": matches without overlap, letter case ignored, of the patterns";
  const std::string where = place.file + ", family " + family.name;
  for (const std::string& expression : texts(place.member("patterns"))) {
    const std::string pattern_where = where + ", pattern \"" + expression + "\"";
    family.patterns.emplace_back(expression, pattern_where, LetterCase::ignored);
    if (family.patterns.back().may_match_nothing())
      throw InputError(pattern_where, "may match the empty text",
                       "it would count everywhere; make it match at least one character");
    family.definition += "\n" + expression;
  }
  if (family.patterns.empty()) throw InputError(where, "has no patterns");
  if ((family.description + family.definition).find('\0') != std::string::npos)
    throw InputError(where, "holds a NUL character", "write \\\\0 in a pattern that looks for one");
  family.matches = texts(place.member("matches"));
  family.no_match = texts(place.member("no_match"));
  check_examples(family, where);
  return family;
}

std::int32_t version_of(const JsonPlace& file) {
  const JsonPlace version = file.member("version");
  if (!version.value.is_number_integer() || version.value < 1 || version.value > 1000000)
    throw InputError(file.where(), "\"version\" is not a number from 1 to 1000000");
  return version.value.get<std::int32_t>();
}

}  // namespace

std::int32_t RegexFamily::count(std::string_view text) const {
  std::vector<Span> spans;
  for (const Regex& pattern : patterns) {
    const auto found = pattern.matches(text);
    spans.insert(spans.end(), found.begin(), found.end());
  }
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::int32_t count = 0;
  std::size_t end = 0;
  for (const Span& span : spans) {
    if (span.begin < end) continue;
    end = span.end;
    ++count;
  }
  return count;
}

RegexFamilies parse_regex_families(std::string text, const std::string& where) {
  const nlohmann::json tree = parse_json(text, where);
  const JsonPlace file{tree, where, ""};
  check_members(file, {"description", "version", "families"});
  RegexFamilies result;
  const std::int32_t version = version_of(file);
  const JsonPlace list = file.member("families");
  for (std::size_t i = 0; i < list.array().size(); ++i) {
    RegexFamily family = parse_family(list.element(i), version);
    for (const RegexFamily& other : result.families)
      if (other.name == family.name)
        throw InputError(where, "has family " + family.name + " twice", "rename one of them");
    result.families.push_back(std::move(family));
  }
  if (result.families.empty()) throw InputError(list.where(), "holds no family");
  result.text = std::move(text);
  return result;
}

}  // namespace rvsweep
