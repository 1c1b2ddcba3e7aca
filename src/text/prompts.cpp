#include "rvsweep/text/prompts.hpp"

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

const char* const form = "a line reads {\"pair\": \"...\", \"source\": \"...\", \"base\": \"...\"}";

std::string text_of(const json& line, const char* key, const std::string& where) {
  if (!line.contains(key)) throw InputError(where, std::string("has no \"") + key + "\"", form);
  if (!line[key].is_string())
    throw InputError(where, std::string("\"") + key + "\" is not a text", form);
  return line[key].get<std::string>();
}

class Builder {
 public:
  PromptIndex prompt(const std::string& id, const std::string& text, const std::string& group) {
    const auto [found, is_new] = places_.try_emplace(
        {text, group}, PromptIndex(static_cast<std::int32_t>(set.prompts.size())));
    if (is_new) set.prompts.push_back({id, text, group});
    return found->second;
  }

  void line(const std::string& text, const std::string& where) {
    json object;
    try {
      object = json::parse(text);
    } catch (const json::parse_error& error) {
      // Its own message repeats the bytes read, which need not be UTF-8.
      throw InputError(where, "is not valid JSON in UTF-8 at byte " + std::to_string(error.byte),
                       form);
    }
    if (!object.is_object()) throw InputError(where, "is not a JSON object", form);
    const std::string id = text_of(object, "pair", where);
    if (id.empty()) throw InputError(where, "\"pair\" is empty", form);
    if (const auto [first, is_new] = where_of_.emplace(id, where); !is_new)
      throw InputError(where, "pair id \"" + id + "\" is already used at " + first->second,
                       "give every pair its own id");
    const std::string source_group =
        object.contains("source_group") ? text_of(object, "source_group", where) : "source";
    const std::string base_group =
        object.contains("base_group") ? text_of(object, "base_group", where) : "base";
    const PromptIndex source =
        prompt(id + "/source", text_of(object, "source", where), source_group);
    const PromptIndex base = prompt(id + "/base", text_of(object, "base", where), base_group);
    set.pairs.push_back({id, source, base});
  }

  PromptSet set;

 private:
  std::map<std::pair<std::string, std::string>, PromptIndex> places_;
  std::map<std::string, std::string> where_of_;
};

}  // namespace

PromptSet read_prompts(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream bytes;
  if (!stream || std::filesystem::is_directory(file) || (bytes << stream.rdbuf()).bad())
    throw InputError(file.string(), "cannot be read",
                     "prompts.file must name a JSONL file of pairs");
  Builder builder;
  builder.set.fingerprint = xxh3(bytes.str());
  std::istringstream lines(bytes.str());
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string where = file.string() + ":" + std::to_string(number);
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      throw InputError(where, "is empty", "remove the line");
    builder.line(line, where);
  }
  if (builder.set.pairs.empty()) throw InputError(file.string(), "holds no pair", form);
  return std::move(builder.set);
}

}  // namespace rvsweep
