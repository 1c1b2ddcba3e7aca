#include "rvsweep/tokenizer/chat_template.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rvsweep/core/error.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// One token per byte, special tokens 256 and 257, and 256 in front of a text by template.
Tokenizer chat_tokenizer() {
  nlohmann::json content = sample::tokenizer_json();
  content["added_tokens"] = {sample::added_token(256, "<|im_start|>", true),
                             sample::added_token(257, "<|im_end|>", true)};
  content["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "b"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"b", {{"ids", {256}}}}}}};
  return sample::load(content);
}

const ChatTemplate parens{"parens", "<|im_start|>(", ")<|im_end|>", true, {"<|im_start|>"}};

TEST(ChatTemplate, SpansAreOfTheUsersText) {
  const PromptEncoding prompt = encode_prompt(chat_tokenizer(), &parens, " \u3000ab\n");
  EXPECT_EQ(prompt.encoding.ids, (std::vector<std::int32_t>{256, '(', 'a', 'b', ')', 257}));
  EXPECT_EQ(prompt.encoding.spans,
            (std::vector<Span>{{4, 4}, {4, 4}, {4, 5}, {5, 6}, {6, 6}, {6, 6}}));
  EXPECT_EQ(prompt.tokens_after_user, 2);
}

TEST(ChatTemplate, ATokenThatHoldsTheEndIsTheUsers) {
  nlohmann::json content = sample::tokenizer_json({{"b", ")"}});
  content["pre_tokenizer"]["use_regex"] = false;
  const ChatTemplate chat{"parens", "(", "))", false, {}};
  const PromptEncoding prompt = encode_prompt(sample::load(content), &chat, "ab");
  EXPECT_EQ(prompt.encoding.ids, (std::vector<std::int32_t>{'(', 'a', 256, ')'}));
  EXPECT_EQ(prompt.encoding.spans, (std::vector<Span>{{0, 0}, {0, 1}, {1, 2}, {2, 2}}));
  EXPECT_EQ(prompt.tokens_after_user, 1);
}

TEST(ChatTemplate, WithoutOneTheTokenizersOwnTokensAreThere) {
  const PromptEncoding prompt = encode_prompt(chat_tokenizer(), nullptr, "ab");
  EXPECT_EQ(prompt.encoding.ids, (std::vector<std::int32_t>{256, 'a', 'b'}));
  EXPECT_EQ(prompt.tokens_after_user, 0);
  EXPECT_TRUE(encode_prompt(chat_tokenizer(), &parens, "").encoding.ids.empty());
}

TEST(ChatTemplate, NamesASpecialTokenThatIsNotThere) {
  check_chat_template(*find_chat_template("chatml"), chat_tokenizer());
  EXPECT_THAT([] { check_chat_template(*find_chat_template("llama3"), chat_tokenizer()); },
              ThrowsMessage<InputError>(HasSubstr("<|begin_of_text|>")));
  EXPECT_EQ(find_chat_template("none"), nullptr);
}

}  // namespace
}  // namespace rvsweep
