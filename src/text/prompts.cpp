#include "rvsweep/text/prompts.hpp"

#include <unordered_map>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "text/records.hpp"

namespace rvsweep {
namespace {

const RecordForm pair_form{
    {{"pair", {}},
     {"source", {}},
     {"base", {}},
     {"source_group", "source"},
     {"base_group", "base"},
     {"source_cluster", "", "cluster"},
     {"base_cluster", "", "cluster"}},
    R"(a line reads {"pair": "...", "source": "...", "base": "..."})",
    "text",
    "is a prompt of a bank, not a pair: set prompts.pairing = length_matched, cross or random:K"};

const RecordForm bank_form{
    {{"id", {}}, {"text", {}}, {"group", {}}, {"cluster", ""}},
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

/// Text, group and cluster of a prompt by two hashes of 64 bits, because the text is not kept.
using PromptKey = std::pair<std::uint64_t, std::uint64_t>;

struct FirstHash {
  std::size_t operator()(const PromptKey& key) const { return key.first; }
};

}  // namespace

PromptSet read_prompts(const std::filesystem::path& file, const PromptSink& sink) {
  FirstLines ids(file.string());
  PromptSet set;
  std::unordered_map<PromptKey, PromptIndex, FirstHash> index_of;
  const auto prompt = [&](std::string id, std::string text, std::string group,
                          std::string cluster) {
    const PromptIndex next(static_cast<std::int32_t>(index_of.size()));
    const PromptKey key{xxh3_fields({text, group, cluster}), xxh3_fields({cluster, group, text})};
    const auto [found, is_new] = index_of.try_emplace(key, next);
    if (is_new) sink({std::move(id), std::move(text), std::move(group), std::move(cluster)});
    return found->second;
  };
  const TakeRecord take = [&](int line, std::vector<std::string> values) {
    const std::string id = std::move(values[0]);
    if (id.empty()) throw InputError(ids.at(line), "\"pair\" is empty", pair_form.example);
    ids.note(id, line, "pair id \"" + id + "\"", "give every pair its own id");
    const PromptIndex source =
        prompt(id + "/source", std::move(values[1]), std::move(values[3]), std::move(values[5]));
    const PromptIndex base =
        prompt(id + "/base", std::move(values[2]), std::move(values[4]), std::move(values[6]));
    set.pairs.push_back({id, source, base});
  };
  set.fingerprint = read_records(file, pair_form, take);
  if (set.pairs.empty()) throw InputError(file.string(), "holds no pair", pair_form.example);
  return set;
}

PromptBank read_bank(const std::filesystem::path& file) {
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
    texts.note(values[2] + '\0' + values[1], line,
               "the text of \"" + id + "\" in group \"" + values[2] + "\"", "keep one of the two");
    bank.prompts.push_back(
        {std::move(values[0]), std::move(values[1]), std::move(values[2]), std::move(values[3])});
  };
  bank.fingerprint = read_records(file, bank_form, take);
  if (bank.prompts.empty()) throw InputError(file.string(), "holds no prompt", bank_form.example);
  return bank;
}

}  // namespace rvsweep
