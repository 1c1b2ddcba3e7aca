#include "rvsweep/text/prompts.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/text/named_spans.hpp"
#include "text/records.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

constexpr const char* roles[] = {"user", "assistant"};

const RecordForm pair_form{
    {{"pair", {}},
     {"source", {}},
     {"base", {}},
     {"source_group", "source"},
     {"base_group", "base"},
     {"system", "null", true},
     {"turns", "null", true},
     {.name = "source_cluster", .default_value = "", .of_both = "cluster"},
     {.name = "base_cluster", .default_value = "", .of_both = "cluster"},
     {.name = "spans", .default_value = "null", .is_json = true, .is_later = true},
     {"source_answer", "", true, "answer", true},
     {"base_answer", "", true, "answer", true},
     {.name = "arms", .default_value = "null", .is_json = true, .is_later = true}},
    R"(a line reads {"pair": "...", "source": "...", "base": "..."})",
    "text",
    "is a prompt of a bank, not a pair: set prompts.pairing = length_matched, cross or random:K"};

const RecordForm bank_form{
    {{"id", {}},
     {"text", {}},
     {"group", {}},
     {"system", "null", true},
     {"turns", "null", true},
     {"cluster", ""},
     {.name = "spans", .default_value = "null", .is_json = true, .is_later = true},
     {.name = "answer", .default_value = "", .is_json = true, .is_later = true}},
    R"(a line of a bank reads {"id": "...", "text": "...", "group": "..."})",
    "pair",
    "is a listed pair, not a prompt of a bank: set prompts.pairing = listed"};

/// Where ids or texts were read first.
class FirstLines {
 public:
  explicit FirstLines(std::string file) : file_(std::move(file)) {}

  std::string at(int line) const { return file_ + ":" + std::to_string(line); }

  /// InputError where `key` was read before; `what` names it.
  void note(const std::string& key, int line, const std::string& what, const std::string& advice) {
    if (const auto [first, is_new] = line_of_.emplace(key, line); !is_new)
      throw InputError(at(line), what + " is already used at " + at(first->second), advice);
  }

 private:
  std::string file_;
  std::unordered_map<std::string, int> line_of_;
};

/// Text, group, opening, cluster and spans of a prompt by two hashes of 64 bits, because the text
/// is not kept.
using PromptKey = std::pair<std::uint64_t, std::uint64_t>;

struct FirstHash {
  std::size_t operator()(const PromptKey& key) const { return key.first; }
};

/// The part of "system" or "turns" that concerns a side of a pair: all, or the side's.
json of_side(const std::string& value, const char* side, const std::string& what,
             const std::string& where) {
  if (value == "null") return {};  // of nearly all lines
  const json whole = json::parse(value);
  if (!whole.is_object()) return whole;
  refuse_other_sides(whole, what, where);
  return whole.value(side, json());
}

Conversation conversation_of(const json& system, const json& turns, const std::string& where) {
  Conversation conversation;
  if (system.is_string())
    conversation.system = system;
  else if (!system.is_null())
    throw InputError(where, "\"system\" is not a text");
  std::vector<std::string> contents;
  bool is_sound = turns.is_null() || (turns.is_array() && turns.size() % 2 == 0);
  for (std::size_t i = 0; is_sound && i < turns.size(); ++i) {
    is_sound = turns[i].is_object() && turns[i].value("role", json()) == roles[i % 2] &&
               turns[i].value("content", json()).is_string();
    if (is_sound) contents.push_back(turns[i]["content"]);
  }
  if (!is_sound)
    throw InputError(where, "\"turns\" are not messages of user and assistant in turn",
                     R"([{"role": "user", "content": "..."}, {"role": "assistant", "content": )"
                     R"("..."}, ...], in JSON lines)");
  for (std::size_t i = 0; i < contents.size(); i += 2)
    conversation.earlier.push_back({contents[i], contents[i + 1]});
  return conversation;
}

/// Prompt::opening.
std::string opening(const ChatTemplate* chat, const json& system, const json& turns,
                    const std::string& where) {
  if (system.is_null() && turns.is_null()) return "";
  const Conversation conversation = conversation_of(system, turns, where);
  if (chat == nullptr)
    throw InputError(where, "has a system message or earlier turns, which a chat template writes",
                     "set prompts.template = own");
  try {
    const std::string text = opening_of(*chat, conversation);
    if (text.find('\0') == std::string::npos) return text;
  } catch (const InputError& error) {
    throw InputError(where, error.what());
  }
  throw InputError(where, "\"system\" or \"turns\" hold a NUL character", "remove it");
}

/// PromptPair::arms.
std::vector<std::string> arm_labels(const std::string& value, const std::string& where) {
  if (value == "null") return {};  // of nearly all lines
  const json written = json::parse(value);
  const json labels = written.is_array() ? written : json::array({written});
  if (labels.empty() || !std::ranges::all_of(labels, &json::is_string))
    throw InputError(where, "\"arms\" is " + written.dump(),
                     R"(write labels of arms, "arms": ["joint"], or leave it out for all)");
  return labels.get<std::vector<std::string>>();
}

}  // namespace

std::uint64_t Prompt::text_hash() const {
  return opening.empty() ? xxh3(text) : xxh3_fields({text, opening});
}

PromptSet read_prompts(const std::filesystem::path& file, const PromptSink& sink,
                       const ChatTemplate* chat) {
  FirstLines ids(file.string());
  PromptSet set;
  std::unordered_map<PromptKey, PromptIndex, FirstHash> index_of;
  const auto prompt = [&](Prompt one) {
    const PromptIndex next(static_cast<std::int32_t>(index_of.size()));
    const PromptKey key{xxh3_fields({one.text, one.group, one.opening, one.cluster, one.spans}),
                        xxh3_fields({one.spans, one.cluster, one.opening, one.group, one.text})};
    const auto [found, is_new] = index_of.try_emplace(key, next);
    if (is_new) sink(std::move(one));
    return found->second;
  };
  const TakeRecord take = [&](int line, std::vector<std::string> values) {
    const std::string id = std::move(values[0]);
    if (id.empty()) throw InputError(ids.at(line), "\"pair\" is empty", pair_form.example);
    ids.note(id, line, "pair id \"" + id + "\"", "give every pair its own id");
    const auto of = [&](const char* side, std::string& text, std::string& group,
                        std::string& cluster) {
      const std::string where = ids.at(line);
      std::string spans = read_spans(values[9], side, text, where);
      return prompt({id + "/" + side, std::move(text), std::move(group),
                     opening(chat, of_side(values[5], side, "\"system\"", where),
                             of_side(values[6], side, "\"turns\"", where), where),
                     std::move(cluster), std::move(spans)});
    };
    const PromptIndex source = of("source", values[1], values[3], values[7]);
    const PromptIndex base = of("base", values[2], values[4], values[8]);
    set.pairs.push_back({id,
                         source,
                         base,
                         {parse_answer(values[10], ids.at(line) + ", key \"source_answer\""),
                          parse_answer(values[11], ids.at(line) + ", key \"base_answer\"")},
                         arm_labels(values[12], ids.at(line)),
                         line});
  };
  set.fingerprint = read_records(file, pair_form, take);
  if (set.pairs.empty()) throw InputError(file.string(), "holds no pair", pair_form.example);
  return set;
}

PromptBank read_bank(const std::filesystem::path& file, const ChatTemplate* chat) {
  FirstLines ids(file.string()), texts(file.string());
  PromptBank bank;
  const TakeRecord take = [&](int line, std::vector<std::string> values) {
    for (std::size_t key = 0; key < values.size() && !bank_form.keys[key].default_value; ++key)
      if (values[key].find_first_not_of(" \t\r\n") == std::string::npos)
        throw InputError(ids.at(line), "\"" + bank_form.keys[key].name + "\" is empty",
                         bank_form.example);
    const std::string& id = values[0];
    if (id.find('~') != std::string::npos)
      throw InputError(ids.at(line), "prompt id \"" + id + "\" has '~'",
                       "it joins the ids of a pair; write another sign");
    ids.note(id, line, "prompt id \"" + id + "\"", "give every prompt its own id");
    std::string before =
        opening(chat, json::parse(values[3]), json::parse(values[4]), ids.at(line));
    texts.note(values[2] + '\0' + values[1] + '\0' + before, line,
               "the text of \"" + id + "\" in group \"" + values[2] + "\"", "keep one of the two");
    std::string spans = read_spans(values[6], "", values[1], ids.at(line));
    bank.prompts.push_back({std::move(values[0]), std::move(values[1]), std::move(values[2]),
                            std::move(before), std::move(values[5]), std::move(spans)});
    bank.answers.push_back(parse_answer(values[7], ids.at(line) + ", key \"answer\""));
  };
  bank.fingerprint = read_records(file, bank_form, take);
  if (bank.prompts.empty()) throw InputError(file.string(), "holds no prompt", bank_form.example);
  return bank;
}

}  // namespace rvsweep
