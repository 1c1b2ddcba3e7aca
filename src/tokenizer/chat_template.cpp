#include "rvsweep/tokenizer/chat_template.hpp"

#include <algorithm>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/utf8.hpp"

namespace rvsweep {
namespace {

/// What Python's str.strip takes away.
bool is_stripped(std::string_view character) {
  const char32_t code_point = utf8::first(character).code_point;
  return utf8::is_white_space(code_point) || (code_point >= 0x1C && code_point <= 0x1F);
}

/// The part of `text` (well-formed UTF-8) between white space at its ends.
Span stripped(std::string_view text) {
  Span kept{0, 0};
  for (std::size_t i = 0, size = 0; i < text.size(); i += size) {
    size = utf8::first(text.substr(i)).size;
    if (is_stripped(text.substr(i))) continue;
    if (kept.end == 0) kept.begin = i;
    kept.end = i + size;
  }
  return kept;
}

/// The part of `span` in the `size` bytes from `begin` on, counted from there and moved by `shift`.
Span moved(Span span, std::size_t begin, std::size_t size, std::size_t shift) {
  const std::size_t first = std::clamp(span.begin, begin, begin + size);
  const std::size_t last = std::clamp(span.end, begin, begin + size);
  return {first - begin + shift, last - begin + shift};
}

}  // namespace

// The chat templates of the models' tokenizer_config.json for one user message and
// add_generation_prompt, their default system messages included.
const std::vector<ChatTemplate>& chat_templates() {
  constexpr std::string_view chatml_after = "<|im_end|>\n<|im_start|>assistant\n";
  static const std::vector<std::string_view> chatml_tokens{"<|im_start|>", "<|im_end|>"};
  static const std::vector<ChatTemplate> templates{
      {"llama3",
       "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
       "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
       true,
       {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
      {"mistral", "<s>[INST] ", " [/INST]", false, {"<s>"}},
      {"llama2", "<s>[INST] ", " [/INST]", true, {"<s>"}},
      {"smollm2",
       "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
       "Face<|im_end|>\n<|im_start|>user\n",
       chatml_after, false, chatml_tokens},
      {"qwen2", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
       chatml_after, false, chatml_tokens},
      {"chatml", "<|im_start|>user\n", chatml_after, false, chatml_tokens},
  };
  return templates;
}

const ChatTemplate* find_chat_template(std::string_view name) {
  const auto& all = chat_templates();
  const auto found = std::ranges::find(all, name, &ChatTemplate::name);
  return found == all.end() ? nullptr : &*found;
}

void check_chat_template(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  for (const std::string_view token : chat.special)
    if (tokenizer.encode(token, /*add_special_tokens=*/false).size() != 1)
      throw InputError("prompts.template",
                       std::string(chat.name) + " writes the special token " + std::string(token) +
                           ", which the model's tokenizer does not have",
                       "choose the template that the model was trained with");
}

PromptEncoding encode_prompt(const Tokenizer& tokenizer, const ChatTemplate* chat,
                             std::string_view text) {
  if (text.empty()) return {};
  if (chat == nullptr) return {tokenizer.encode_with_spans(text), 0};
  const Span kept = chat->strips ? stripped(text) : Span{0, text.size()};
  const std::size_t begin = chat->before.size(), size = kept.end - kept.begin;
  std::string written(chat->before);
  written.append(text.substr(kept.begin, size)).append(chat->after);
  PromptEncoding prompt{tokenizer.encode_with_spans(written, /*add_special_tokens=*/false), 0};
  for (const Span& span : prompt.encoding.spans)
    prompt.tokens_after_user += span.begin >= begin + size;
  for (Span& span : prompt.encoding.spans) span = moved(span, begin, size, kept.begin);
  return prompt;
}

}  // namespace rvsweep
