#pragma once
// Prompt pairs and banks of prompts, from JSON lines or CSV (text/records.hpp).
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "rvsweep/core/ids.hpp"
#include "rvsweep/text/answers.hpp"
#include "rvsweep/tokenizer/chat_template.hpp"

namespace rvsweep {

struct Prompt {
  std::string id;    // of a bank; else "<pair>/source" or "<pair>/base" of the first pair to use it
  std::string text;  // utf-8
  std::string group;         // of listed pairs "source" and "base" unless the line names one
  std::string opening = {};  // what precedes it, in the chat template, where a system message or
                             // earlier turns do; else empty
  std::string cluster = {};  // a template, say, from which several were made; empty: none
  std::string spans = {};    // parts that have a name, as read_spans gives them; empty: none

  /// xxh3 of the text, and of its opening where it has one.
  std::uint64_t text_hash() const;
};

struct PromptPair {
  std::string id;
  PromptIndex source;  // donor
  PromptIndex base;    // recipient
  PairAnswers answers = {};
  std::vector<std::string> arms = {};  // labels of the patched arms that are asked for; empty: all
  std::int32_t line = 0;               // of the file; 0 of a pair that it does not list
};

/// Equal (text, group, opening, cluster, spans) is one prompt, however many pairs use it.
struct PromptSet {
  std::vector<Prompt> prompts;
  std::vector<PromptPair> pairs;
  std::int64_t most_pairs = 0;    // of a bank: that one-to-one pairs could be
  std::uint64_t fingerprint = 0;  // xxh3 of what the file says
};

/// Prompts still to be paired, see text/pairing.hpp.
struct PromptBank {
  std::vector<Prompt> prompts;    // in the file's order, at least one
  std::vector<Answer> answers;    // to each of them
  std::uint64_t fingerprint = 0;  // xxh3 of what the file says
};

using PromptSink = std::function<void(Prompt)>;

/// Listed pairs: {"pair": id, "source": text, "base": text} with optional "source_group" and
/// "base_group", "source_cluster" and "base_cluster", the last two as "cluster": one for both or
/// {"source", "base"}; "system": text, and "turns": [{"role": "user", "content": text}, {"role":
/// "assistant", "content": text}, ...] for both prompts, or {"source": ..., "base": ...}, which
/// `chat` writes; "spans": see read_spans; "source_answer" and "base_answer", a text or a list, as
/// "answer": {"source", "base"}; "arms": a label or a list of them. Streams the prompts to `sink`,
/// and the set has none of them: a million texts take more memory than the plan of their rows.
/// Throws InputError naming file:line for what text/records.hpp refuses, an empty pair id or one
/// used twice, a file without pairs, a bank, turns, spans, answers or arms of another form, and
/// what `chat` cannot write.
PromptSet read_prompts(const std::filesystem::path& file, const PromptSink& sink,
                       const ChatTemplate* chat = nullptr);

/// A bank: {"id", "text", "group"}, none of them empty, with "cluster", "system", "turns", "spans"
/// and "answer" where wanted. Throws InputError naming file:line for what text/records.hpp
/// refuses, an empty value, an id or a text of a group used twice, an id with '~' (it joins the ids
/// of a pair), a file without prompts, listed pairs, answers of another form.
PromptBank read_bank(const std::filesystem::path& file, const ChatTemplate* chat = nullptr);

}  // namespace rvsweep
