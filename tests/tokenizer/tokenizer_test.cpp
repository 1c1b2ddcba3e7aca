#include "rvsweep/tokenizer/tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

json with_begin_token() {
  json content = sample::tokenizer_json({{"h", "e"}, {" ", "he"}});
  content["added_tokens"] = {sample::added_token(258, "<b>", true),
                             sample::added_token(259, "<tool call>")};
  content["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<b>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"<b>", {{"ids", {258}}}}}}};
  return content;
}

TEST(Tokenizer, EncodesWithAndWithoutTheTemplate) {
  const Tokenizer tokenizer = sample::load(with_begin_token());
  EXPECT_EQ(tokenizer.encode("he he"), (Ids{258, 256, 257}));
  EXPECT_EQ(tokenizer.encode("he he", false), (Ids{256, 257}));
  EXPECT_EQ(tokenizer.encode(""), Ids{258});
  EXPECT_EQ(tokenizer.encode("", false), Ids{});
  EXPECT_EQ(tokenizer.encode("x<b> he<tool call>", false), (Ids{'x', 258, 257, 259}));
}

TEST(Tokenizer, DecodesBytesToText) {
  const Tokenizer tokenizer = sample::load(with_begin_token());
  EXPECT_EQ(tokenizer.decode(Ids{258, 257, 259, 0xE4, 0xB8, 0xAD}), " he<tool call>\u4e2d");
  EXPECT_EQ(tokenizer.decode(Ids{0xE4, 0xB8, 'x'}), "\uFFFDx");  // a character cut in two
  EXPECT_EQ(tokenizer.decode(Ids{'a', 9999, -1, 'b'}), "ab");
  EXPECT_EQ(tokenizer.decode({}), "");
}

TEST(Tokenizer, KnowsItsTokens) {
  const json content = with_begin_token();
  const Tokenizer tokenizer = sample::load(content);
  EXPECT_EQ(tokenizer.token_id("<b>"), 258);
  EXPECT_EQ(tokenizer.token_id("\u0120he"), 257);
  EXPECT_EQ(tokenizer.token_id(" he"), std::nullopt);
  EXPECT_EQ(tokenizer.fingerprint(), xxh3(content.dump()));
}

TEST(Tokenizer, RefusesTokensThatOnlyItsConfigurationHas) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", with_begin_token().dump());
  const auto load_with = [&](const json& added_tokens_decoder) {
    folder.write("tokenizer_config.json",
                 json{{"added_tokens_decoder", added_tokens_decoder}}.dump());
    Tokenizer::load(folder.path());
  };
  load_with(nullptr);
  load_with(
      {{"258", {{"content", "<b>"}, {"special", true}}}, {"259", {{"content", "<tool call>"}}}});
  for (const json& token : {json{{"260", {{"content", "<x>"}}}}, {{"7", {{"content", "<b>"}}}}})
    EXPECT_TRUE(says(refusal_message([&] { load_with(token); }),
                     {"tokenizer_config.json, added_tokens_decoder", token.begin().key(),
                      "is not among the added tokens"}));
}

TEST(Tokenizer, RefusesNamedTokensThatAreNoAddedTokens) {
  const auto load_with = [](const char* file, const char* content) {
    const TemporaryFolder folder;
    folder.write("tokenizer.json", with_begin_token().dump());
    folder.write(file, content);
    Tokenizer::load(folder.path());
  };
  load_with("tokenizer_config.json", R"({"bos_token": "<b>", "pad_token": null})");
  load_with("special_tokens_map.json", R"({"eos_token": {"content": "<b>"}})");
  for (const auto& [file, content, place] :
       {std::tuple("tokenizer_config.json", R"({"pad_token": "<x>"})", "pad_token"),
        std::tuple("tokenizer_config.json", R"({"extra_special_tokens": {"image": "<x>"}})",
                   "extra_special_tokens.image"),
        std::tuple("special_tokens_map.json", R"({"additional_special_tokens": ["<b>", "<x>"]})",
                   "additional_special_tokens[1]"),
        std::tuple("added_tokens.json", R"({"<x>": 260})", "added_tokens.json")})
    EXPECT_TRUE(says(refusal_message([&] { load_with(file, content); }),
                     {file, place, "token \"<x>\"", "not among"}));
}

TEST(Tokenizer, RoundTripsAnyText) {
  const Tokenizer tokenizer = sample::load(sample::tokenizer_json());
  std::string text("\0\x01 \n\t\u00e9\u0301 \u4e2d\U0001F469\u200D\U0001F680 \uFFFF\U0010FFFF", 28);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

TEST(Tokenizer, IsSharedByThreads) {
  const Tokenizer tokenizer = sample::load(with_begin_token());
  const std::string text = "he he <b> don't 123 \u4e2d\u6587";
  const Ids expected = tokenizer.encode(text);
  int wrong[4] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) wrong[t] += tokenizer.encode(text) != expected;
    });
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) EXPECT_EQ(count, 0);
}

TEST(Tokenizer, TruncationAndPaddingAreIgnored) {
  json content = sample::tokenizer_json();
  content["truncation"] = {{"max_length", 1}};
  content["padding"] = {{"pad_id", 0}};
  EXPECT_EQ(sample::load(content).encode("abc"), (Ids{'a', 'b', 'c'}));
}

TEST(Tokenizer, RefusesWhatIsNotUtf8) {
  const Tokenizer tokenizer = sample::load(sample::tokenizer_json());
  EXPECT_THROW(tokenizer.encode("ab\xFF"), InputError);
}

TEST(Tokenizer, NamesAMissingFile) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { Tokenizer::load(folder.path()); },
              ::testing::Throws<InputError>(::testing::Property(
                  &InputError::where, (folder.path() / "tokenizer.json").string())));
}

/// A tokenizer.json with `patch` (RFC 7396) applied.
Tokenizer load_patched(const char* patch) {
  json content = sample::tokenizer_json({{"h", "e"}});
  content.merge_patch(json::parse(patch));
  return sample::load(content);
}

std::string refusal(const char* patch) {
  return refusal_message([&] { load_patched(patch); });
}

TEST(Tokenizer, RefusesComponentsByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"model": {"type": "Unigram"}})", "model: Unigram is not supported"},
      {R"({"model": {"type": "WordPiece"}})", "model: WordPiece is not supported"},
      {R"({"model": {"byte_fallback": true}})",
       "pre_tokenizer: ByteLevel with byte_fallback is not supported"},
      {R"({"model": {"dropout": 0.1}})", "model: BPE with dropout is not supported"},
      {R"({"model": {"end_of_word_suffix": "</w>"}})", "model: BPE with end_of_word_suffix"},
      {R"({"model": {"continuing_subword_prefix": "##"}})",
       "model: BPE with continuing_subword_prefix"},
      {R"({"model": {"vocab": null}})", "model.vocab: is not an object"},
      {R"({"model": {"merges": {"a": 1}}})", "model.merges: is not a list"},
      {R"({"model": null})", "model: is not an object"},
      {R"({"normalizer": {"type": "NFKC"}})", "normalizer: normalizer NFKC is not supported"},
      {R"({"pre_tokenizer": {"type": "Metaspace"}})", "pre_tokenizer: Metaspace is not supported"},
      {R"({"post_processor": {"type": "RobertaProcessing"}})",
       "post_processor: RobertaProcessing is not supported"},
      {R"({"decoder": {"type": "Metaspace"}})", "decoder: Metaspace is not supported"},
      {R"({"decoder": null})", "decoder: null"},
      {R"({"decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}]}})",
       "decoders[0]: Fuse is not supported"},
  };
  for (const auto& [patch, message] : cases)
    EXPECT_THAT(refusal(patch), HasSubstr(message)) << patch;
}

TEST(Tokenizer, AcceptsWhatMeansNothing) {
  for (const char* patch :
       {R"({"model": {"dropout": 0.0, "end_of_word_suffix": "", "unk_token": ""}})",
        R"({"model": {"continuing_subword_prefix": ""}})",
        R"({"model": {"type": null}})",  // as files had it before the member "type"
        R"({"decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel"}]}})",
        R"({"anything": [1]})"})
    EXPECT_NO_THROW(load_patched(patch)) << patch;
}

}  // namespace
}  // namespace rvsweep
