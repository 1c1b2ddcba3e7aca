#pragma once
// What instruction-tuned models expect around the messages of a conversation.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// The texts around a message, the model's special tokens written out.
struct Around {
  std::string before;
  bool strips = false;  // white space at the ends of the message is left out
  std::string after;

  std::string_view kept(std::string_view message) const;   // what of the message is written
  std::string operator()(std::string_view message) const;  // the message in them
  bool operator==(const Around&) const = default;
};

/// A conversation is user.before, the user's message, user.after, which opens the model's answer. A
/// system message takes the place of user.before; each earlier exchange is the user's message and
/// the answer. analysis/chat_template.py proves that a template is so.
struct ChatTemplate {
  std::string name;
  Around user;
  std::vector<std::string> special;               // tokens that the tokenizer must have
  std::optional<Around> system, answer;           // none where not proved
  std::map<std::string, std::string> not_proved;  // system, answer, answer_after_system: why not
};

/// The named ones.
const std::vector<ChatTemplate>& chat_templates();

/// nullptr where there is none.
const ChatTemplate* find_chat_template(std::string_view name);

/// Beside the model, what analysis/chat_template.py made of its own template.
std::filesystem::path own_template_file(const std::filesystem::path& model_folder);

/// What `prompts.template` says: none (nullptr), a name, own, or else a file that
/// analysis/chat_template.py wrote. Throws InputError for a file that is missing, with the command
/// that makes it, or malformed.
std::shared_ptr<const ChatTemplate> load_chat_template(const std::string& setting,
                                                       const std::filesystem::path& model_folder);

/// What precedes the last message of the user.
struct Conversation {
  std::optional<std::string> system;
  struct Exchange {
    std::string user, answer;
  };
  std::vector<Exchange> earlier;
};

/// All that is written before the last message of the user; a conversation without anything gives
/// user.before. Throws InputError for what the template does not write as fixed texts.
std::string opening_of(const ChatTemplate& chat, const Conversation& conversation);

/// Hash of what the template writes.
std::uint64_t fingerprint_of(const ChatTemplate& chat);

/// Throws InputError naming a special token of the template that `tokenizer` does not have.
void check_chat_template(const ChatTemplate& chat, const Tokenizer& tokenizer);

/// A prompt as the model reads it.
struct PromptEncoding {
  Encoding encoding;  // spans are bytes of the user's text, empty for tokens of the template alone
  std::int64_t tokens_after_user = 0;  // trailing tokens that hold none of the user's text
};

/// `text` with the tokenizer's special tokens, or in `chat` where it is not nullptr: that writes
/// them out itself, so none is added. `opening`, where not empty, takes the place of
/// chat->user.before: a system message and earlier turns. An empty text has no tokens.
PromptEncoding encode_prompt(const Tokenizer& tokenizer, const ChatTemplate* chat,
                             std::string_view text, std::string_view opening = "");

}  // namespace rvsweep
