#pragma once
// Text to token ids and back, as Hugging Face's tokenizers package does with the same
// tokenizer.json.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/aligned_text.hpp"

namespace rvsweep {

/// A BPE tokenizer over bytes (GPT-2, Llama 3, SmolLM2 and their kin) or over characters with
/// byte_fallback (Llama 2, Mistral). Copies share their tables; every member may be called from
/// several threads at once.
class Tokenizer {
 public:
  /// Reads `model_folder`/tokenizer.json. Throws InputError for a file that is missing (named) or
  /// malformed (saying where), and for a component that is not supported (named): a model other
  /// than BPE (WordPiece, Unigram ...), and the normalizers, pre-tokenizers, post-processors and
  /// decoders that their readers do not list. Its truncation and padding settings are ignored, as
  /// transformers does unless asked.
  static Tokenizer load(const std::filesystem::path& model_folder);

  /// Ids of `utf8`, with the special tokens of the template (begin of text) around them where
  /// asked. Added tokens written out in the text, special ones too, become their ids. Throws
  /// InputError when the text is not well-formed UTF-8.
  std::vector<std::int32_t> encode(std::string_view utf8, bool add_special_tokens = true) const;

  /// The same with the bytes of `utf8` that each token stands for. A character that became several
  /// tokens is cut between its bytes where they are bytes of the text. Empty are the spans of
  /// special tokens of the template (at the ends) and of white space that the tokenizer puts in
  /// front.
  Encoding encode_with_spans(std::string_view utf8, bool add_special_tokens = true) const;

  /// Text of `ids`; U+FFFD stands for bytes that are not UTF-8 (a character cut in two). Special
  /// tokens and ids without token are left out.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// Id of a token as tokenizer.json writes it ("<|im_end|>", "Ġthe").
  std::optional<std::int32_t> token_id(std::string_view token) const;

  /// xxh3 of the bytes of tokenizer.json.
  std::uint64_t fingerprint() const;

 private:
  struct Tables;
  explicit Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}
  std::shared_ptr<const Tables> tables_;
};

}  // namespace rvsweep
