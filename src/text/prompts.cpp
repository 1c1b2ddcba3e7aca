#include "rvsweep/text/prompts.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <unordered_map>

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

/// Text and group of a prompt by two hashes of 64 bits, because the text is not kept.
using PromptKey = std::pair<std::uint64_t, std::uint64_t>;

struct FirstHash {
  std::size_t operator()(const PromptKey& key) const { return key.first; }
};

class Builder {
 public:
  Builder(std::string file, const PromptSink& sink) : file_(std::move(file)), sink_(sink) {}

  std::string where_of(int line) const { return file_ + ":" + std::to_string(line); }

  PromptIndex prompt(std::string id, std::string text, std::string group) {
    const PromptIndex next(static_cast<std::int32_t>(places_.size()));
    const PromptKey key{xxh3_fields({text, group}), xxh3_fields({group, text})};
    const auto [found, is_new] = places_.try_emplace(key, next);
    if (is_new) sink_({std::move(id), std::move(text), std::move(group)});
    return found->second;
  }

  void line(const std::string& text, int number) {
    const std::string where = where_of(number);
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
    if (const auto [first, is_new] = line_of_.emplace(id, number); !is_new)
      throw InputError(where,
                       "pair id \"" + id + "\" is already used at " + where_of(first->second),
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
  std::unordered_map<PromptKey, PromptIndex, FirstHash> places_;
  std::unordered_map<std::string, int> line_of_;
  std::string file_;
  const PromptSink& sink_;
};

}  // namespace

PromptSet read_prompts(const std::filesystem::path& file) {
  std::vector<Prompt> prompts;
  PromptSet set = read_prompts(file, [&](Prompt prompt) { prompts.push_back(std::move(prompt)); });
  set.prompts = std::move(prompts);
  return set;
}

PromptSet read_prompts(const std::filesystem::path& file, const PromptSink& sink) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file))
    throw InputError(file.string(), "cannot be read",
                     "prompts.file must name a JSONL file of pairs");
  Builder builder(file.string(), sink);
  Hasher hasher;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    hasher.update(line);
    if (!stream.eof()) hasher.update("\n");
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      throw InputError(builder.where_of(number), "is empty", "remove the line");
    builder.line(line, number);
  }
  if (stream.bad()) throw InputError(file.string(), "cannot be read to its end");
  builder.set.fingerprint = hasher.digest();
  if (builder.set.pairs.empty()) throw InputError(file.string(), "holds no pair", form);
  return std::move(builder.set);
}

}  // namespace rvsweep
