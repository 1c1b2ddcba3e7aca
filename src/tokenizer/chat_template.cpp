#include "rvsweep/tokenizer/chat_template.hpp"

#include <algorithm>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/json_place.hpp"
#include "rvsweep/core/read_file.hpp"
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

Around around_of(const JsonPlace& place) {
  return {place.get<std::string>("before"), place.get<bool>("strips"),
          place.get<std::string>("after")};
}

std::shared_ptr<const ChatTemplate> read_chat_template(const std::filesystem::path& file,
                                                       const std::filesystem::path& model_folder) {
  const bool is_own = file == own_template_file(model_folder);
  const std::string advice = "make it: .venv/bin/python analysis/chat_template.py " +
                             model_folder.string() + (is_own ? "" : " -o " + file.string());
  const auto content = read_file(file);
  if (!content) throw InputError(file.string(), "cannot be read", advice);
  const auto json = parse_json(*content, file.string(), advice);
  const JsonPlace root{json, file.string(), "", advice};
  if (root.member("rvsweep_chat_template").value != 1)
    throw InputError(file.string(), "is no chat template of this version", advice);
  auto chat = std::make_shared<ChatTemplate>();
  chat->name = file.string();
  chat->user = around_of(root.member("user"));
  chat->special = root.get<std::vector<std::string>>("special");
  chat->not_proved = root.get<std::map<std::string, std::string>>("not_proved");
  if (root.has("system")) chat->system = around_of(root.member("system"));
  if (root.has("answer")) chat->answer = around_of(root.member("answer"));
  return chat;
}

}  // namespace

std::string_view Around::kept(std::string_view message) const {
  const Span span = strips ? stripped(message) : Span{0, message.size()};
  return message.substr(span.begin, span.end - span.begin);
}

std::string Around::operator()(std::string_view message) const {
  return before + std::string(kept(message)) + after;
}

// The chat templates of the models' tokenizer_config.json for one user message and
// add_generation_prompt, their default system messages included.
const std::vector<ChatTemplate>& chat_templates() {
  const auto named = [](std::string name, Around user, std::vector<std::string> special) {
    return ChatTemplate{std::move(name), std::move(user), std::move(special), {}, {}, {}};
  };
  const auto chatml = [&](std::string name, std::string system) {
    return named(
        std::move(name),
        {std::move(system) + "<|im_start|>user\n", false, "<|im_end|>\n<|im_start|>assistant\n"},
        {"<|im_start|>", "<|im_end|>"});
  };
  static const std::vector<ChatTemplate> templates{
      named("llama3",
            {"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n", true,
             "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
            {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}),
      named("mistral", {"<s>[INST] ", false, " [/INST]"}, {"<s>"}),
      named("llama2", {"<s>[INST] ", true, " [/INST]"}, {"<s>"}),
      chatml("smollm2",
             "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
             "Face<|im_end|>\n"),
      chatml("qwen2", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"),
      chatml("chatml", "")};
  return templates;
}

const ChatTemplate* find_chat_template(std::string_view name) {
  const auto& all = chat_templates();
  const auto found = std::ranges::find(all, name, &ChatTemplate::name);
  return found == all.end() ? nullptr : &*found;
}

std::filesystem::path own_template_file(const std::filesystem::path& model_folder) {
  return model_folder / "rvsweep_chat_template.json";
}

std::shared_ptr<const ChatTemplate> load_chat_template(const std::string& setting,
                                                       const std::filesystem::path& model_folder) {
  if (setting == "none") return nullptr;
  if (const ChatTemplate* named = find_chat_template(setting))
    return std::make_shared<ChatTemplate>(*named);
  if (setting == "own") return read_chat_template(own_template_file(model_folder), model_folder);
  return read_chat_template(setting, model_folder);
}

std::string opening_of(const ChatTemplate& chat, const Conversation& conversation) {
  const auto& [system, earlier] = conversation;
  const auto refuse = [&](const std::string& part, const std::string& what) {
    const auto why = chat.not_proved.find(part);
    if (why == chat.not_proved.end())
      throw InputError("prompts.template = " + chat.name, "has no place for " + what,
                       "set prompts.template = own");
    throw InputError("prompts.template = " + chat.name,
                     "is not fixed texts around " + what + " (" + why->second + ")");
  };
  if (system && !chat.system) refuse("system", "a system message");
  if (!earlier.empty() && !chat.answer) refuse("answer", "earlier turns");
  if (system && !earlier.empty() && chat.not_proved.contains("answer_after_system"))
    refuse("answer_after_system", "earlier turns after a system message");
  std::string opening = system ? (*chat.system)(*system) : chat.user.before;
  for (const auto& [user, answer] : earlier)
    opening.append(chat.user.kept(user)).append((*chat.answer)(answer));
  return opening;
}

std::uint64_t fingerprint_of(const ChatTemplate& chat) {
  const Around system = chat.system.value_or(Around{}), answer = chat.answer.value_or(Around{});
  const auto strips = [](const Around& around) { return around.strips ? "strips" : ""; };
  return xxh3_fields({chat.user.before, strips(chat.user), chat.user.after,  //
                      system.before, strips(system), system.after,           //
                      answer.before, strips(answer), answer.after});
}

void check_chat_template(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  for (const std::string& token : chat.special)
    if (tokenizer.encode(token, /*add_special_tokens=*/false).size() != 1)
      throw InputError("prompts.template",
                       chat.name + " writes the special token " + token +
                           ", which the model's tokenizer does not have",
                       "choose the template that the model was trained with");
}

PromptEncoding encode_prompt(const Tokenizer& tokenizer, const ChatTemplate* chat,
                             std::string_view text, std::string_view opening) {
  if (text.empty()) return {};
  if (chat == nullptr) return {tokenizer.encode_with_spans(text), 0};
  const Around& user = chat->user;
  const std::string_view kept = user.kept(text);
  const auto left_out = static_cast<std::size_t>(kept.data() - text.data());
  std::string written(opening.empty() ? user.before : opening);
  const std::size_t begin = written.size(), size = kept.size();
  written.append(kept).append(user.after);
  PromptEncoding prompt{tokenizer.encode_with_spans(written, /*add_special_tokens=*/false), 0};
  for (const Span& span : prompt.encoding.spans)
    prompt.tokens_after_user += span.begin >= begin + size;
  for (Span& span : prompt.encoding.spans) span = moved(span, begin, size, left_out);
  return prompt;
}

}  // namespace rvsweep
