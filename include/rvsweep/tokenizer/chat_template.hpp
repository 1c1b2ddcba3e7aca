#pragma once
// What instruction-tuned models expect around a user's message.
#include <cstdint>
#include <string_view>
#include <vector>

#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// One user turn and the opening of the model's answer, the model's special tokens written out.
struct ChatTemplate {
  std::string_view name;
  std::string_view before, after;         // the user's text goes between
  bool strips;                            // white space at the ends of the user's text is left out
  std::vector<std::string_view> special;  // tokens that the tokenizer must have
};

const std::vector<ChatTemplate>& chat_templates();

/// nullptr where there is none.
const ChatTemplate* find_chat_template(std::string_view name);

/// Throws InputError naming a special token of the template that `tokenizer` does not have.
void check_chat_template(const ChatTemplate& chat, const Tokenizer& tokenizer);

/// A prompt as the model reads it.
struct PromptEncoding {
  Encoding encoding;  // spans are bytes of the user's text, empty for tokens of the template alone
  std::int64_t tokens_after_user = 0;  // trailing tokens that hold none of the user's text
};

/// `text` with the tokenizer's special tokens, or in `chat` where it is not nullptr: that writes
/// them out itself, so none is added. An empty text has no tokens.
PromptEncoding encode_prompt(const Tokenizer& tokenizer, const ChatTemplate* chat,
                             std::string_view text);

}  // namespace rvsweep
