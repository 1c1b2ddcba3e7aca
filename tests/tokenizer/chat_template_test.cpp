#include "rvsweep/tokenizer/chat_template.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rvsweep/core/error.hpp"
#include "support/temporary_folder.hpp"
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

const ChatTemplate parens{
    "parens", {"<|im_start|>(", true, ")<|im_end|>"}, {"<|im_start|>"}, {}, {}, {}};

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
  const ChatTemplate chat{"parens", {"(", false, "))"}, {}, {}, {}, {}};
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

/// A template whose every text shows where it stands.
const ChatTemplate marked{"marked",
                          {"<u>", true, "</u>"},
                          {},
                          Around{"<s>", false, "</s><u>"},
                          Around{"</u><a>", true, "</a><u>"},
                          {}};

TEST(ChatTemplate, AnOpeningIsAllBeforeTheUsersLastMessage) {
  EXPECT_EQ(opening_of(marked, {}), "<u>");
  EXPECT_EQ(opening_of(marked, {" S ", {}}), "<s> S </s><u>");
  EXPECT_EQ(opening_of(marked, {std::nullopt, {{" a ", " b\n"}, {"c", "d"}}}),
            "<u>a</u><a>b</a><u>c</u><a>d</a><u>");
  EXPECT_EQ(opening_of(marked, {"S", {{"a", "b"}}}), "<s>S</s><u>a</u><a>b</a><u>");
  ChatTemplate chat = marked;
  chat.not_proved = {{"answer_after_system", "why"}};
  EXPECT_THAT(
      [&] {
        opening_of(chat, {"S", {{"a", "b"}}});
      },
      ThrowsMessage<InputError>(HasSubstr("earlier turns after a system message (why)")));
  EXPECT_EQ(opening_of(chat, {"S", {}}), "<s>S</s><u>");
  EXPECT_THAT(
      [] {
        opening_of(*find_chat_template("chatml"), {"S", {}});
      },
      ThrowsMessage<InputError>(HasSubstr("has no place for a system message")));
}

TEST(ChatTemplate, SpansBehindAnOpeningAreOfTheUsersText) {
  const PromptEncoding prompt = encode_prompt(chat_tokenizer(), &parens, " ab", "<|im_start|>(x)(");
  EXPECT_EQ(prompt.encoding.ids,
            (std::vector<std::int32_t>{256, '(', 'x', ')', '(', 'a', 'b', ')', 257}));
  EXPECT_EQ(prompt.encoding.spans[5], (Span{1, 2}));
  EXPECT_EQ(prompt.encoding.spans[4], (Span{1, 1}));
  EXPECT_EQ(prompt.tokens_after_user, 2);
}

const char* const file_of_parens = R"json({"rvsweep_chat_template": 1,
    "user": {"before": "(", "strips": true, "after": ")"},
    "system": {"before": "[", "strips": false, "after": "]("},
    "answer": null, "not_proved": {"answer": "it forgets"}, "special": ["("]})json";

TEST(ChatTemplate, IsReadFromTheFileBesideTheModelOrAnother) {
  const TemporaryFolder folder;
  EXPECT_THAT(
      [&] { load_chat_template("own", folder.path()); },
      ThrowsMessage<InputError>(HasSubstr("analysis/chat_template.py " + folder.path().string())));
  folder.write("rvsweep_chat_template.json", file_of_parens);
  const auto own = load_chat_template("own", folder.path());
  EXPECT_EQ(own->user, (Around{"(", true, ")"}));
  EXPECT_EQ(own->special, std::vector<std::string>{"("});
  EXPECT_EQ(opening_of(*own, {"S", {}}), "[S](");
  EXPECT_THAT(
      [&] {
        opening_of(*own, {std::nullopt, {{"a", "b"}}});
      },
      ThrowsMessage<InputError>(HasSubstr("it forgets")));
  const auto other = load_chat_template(folder.write("other.json", file_of_parens).string(), "m");
  EXPECT_EQ(fingerprint_of(*other), fingerprint_of(*own));
  ChatTemplate stripless = *own;
  stripless.user.strips = false;
  EXPECT_NE(fingerprint_of(stripless), fingerprint_of(*own));
  const auto old = folder.write("old.json", R"({"rvsweep_chat_template": 0})");
  EXPECT_THAT([&] { load_chat_template(old.string(), "m"); },
              ThrowsMessage<InputError>(HasSubstr("chat_template.py m -o " + old.string())));
  EXPECT_EQ(load_chat_template("none", "m"), nullptr);
}

TEST(ChatTemplate, NamesASpecialTokenThatIsNotThere) {
  check_chat_template(*find_chat_template("chatml"), chat_tokenizer());
  EXPECT_THAT([] { check_chat_template(*find_chat_template("llama3"), chat_tokenizer()); },
              ThrowsMessage<InputError>(HasSubstr("<|begin_of_text|>")));
  EXPECT_EQ(find_chat_template("none"), nullptr);
}

}  // namespace
}  // namespace rvsweep
