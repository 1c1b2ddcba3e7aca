#include "rvsweep/tokenizer/tokenizer.hpp"

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/core/utf8.hpp"
#include "tokenizer/added_tokens.hpp"
#include "tokenizer/bpe.hpp"
#include "tokenizer/decoder.hpp"
#include "tokenizer/normalizer.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/template_processor.hpp"
#include "tokenizer/tokenizer_file.hpp"

namespace rvsweep {
namespace {

const char* const supported_models = "supported is BPE, byte-level or with byte_fallback";

/// Refuses what would change the ids and is not done here; `file` gives up its merges.
BpeSettings read_bpe(const JsonPlace& model, TokenizerFile& file) {
  // Older files lack the member "type".
  if (const JsonPlace type = model.member("type"); !type.is_null() && type.text() != "BPE")
    model.refuse(type.text(), supported_models);
  if (!file.has_vocab) throw InputError(model.where() + ".vocab", "is not an object of token ids");
  if (!file.has_merges) throw InputError(model.where() + ".merges", "is not a list");
  if (const JsonPlace dropout = model.member("dropout"); !dropout.is_null() && dropout.value != 0.0)
    model.refuse("BPE with dropout", supported_models);
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const JsonPlace text = model.member(affix); !text.is_null() && !text.text().empty())
      model.refuse(std::string("BPE with ") + affix, supported_models);

  BpeSettings settings;
  settings.merges = std::move(file.merges);
  settings.ignore_merges = model.member("ignore_merges").flag_or(false);
  settings.fuse_unknown = model.member("fuse_unk").flag_or(false);
  if (const JsonPlace unknown = model.member("unk_token"); !unknown.is_null())
    settings.unknown = unknown.text();
  return settings;
}

constexpr const char* save_again =
    "save the tokenizer once more with transformers, which then writes both";

/// Throws InputError where a token, written as its text or as an object, or one of a list or table
/// of tokens is no added token.
void check_tokens(const JsonPlace& place, const AddedTokens& added) {
  const nlohmann::json& value = place.value;
  if (value.is_null() || value == "") return;
  if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) check_tokens(place.element(i), added);
  } else if (value.is_object() && !value.contains("content")) {
    for (const auto& [name, token] : value.items()) check_tokens(place.member(name), added);
  } else {
    const std::string content = (value.is_object() ? place.member("content") : place).text();
    if (added.with_content(content) == nullptr)
      throw InputError(place.where(),
                       "token \"" + content + "\" is not among the added tokens of tokenizer.json",
                       save_again);
  }
}

void check_id(const JsonPlace& place, const std::string& content, const std::string& id,
              const AddedTokens& added) {
  const AddedToken* known = added.with_content(content);
  if (known == nullptr || std::to_string(known->id) != id)
    throw InputError(place.where(),
                     "token \"" + content + "\" with the id " + id +
                         " is not among the added tokens of tokenizer.json",
                     save_again);
}

/// transformers adds tokens that only its own files have, under ids that need not be the model's.
/// Where tokenizer_config.json has added_tokens_decoder, the two older files are not read.
void check_added_tokens(const std::filesystem::path& folder, const AddedTokens& added) {
  const auto with_file = [&](const char* name, const auto& check) {
    const auto path = folder / name;
    const auto text = read_file(path);
    if (!text) return;
    const auto object = parse_json(*text, path.string());
    check(JsonPlace{object, path.string(), ""});
  };
  const auto check_named = [&](const JsonPlace& file) {
    for (const char* name :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
          "mask_token", "additional_special_tokens", "extra_special_tokens"})
      check_tokens(file.member(name), added);
  };
  bool has_decoder = false;
  with_file("tokenizer_config.json", [&](const JsonPlace& file) {
    const JsonPlace tokens = file.member("added_tokens_decoder");
    has_decoder = !tokens.is_null();
    for (const auto& [id, token] : tokens.value.items())
      check_id(tokens, tokens.member(id).member("content").text(), id, added);
    check_named(file);
  });
  if (has_decoder) return;
  with_file("special_tokens_map.json", check_named);
  with_file("added_tokens.json", [&](const JsonPlace& file) {
    for (const auto& [content, id] : file.value.items()) check_id(file, content, id.dump(), added);
  });
}

}  // namespace

struct Tokenizer::Tables {
  Tables(const TokenizerFile& file, const JsonPlace& root, Symbols symbols,
         const BpeSettings& settings)
      : normalizer(root.member("normalizer")),
        pre_tokenizer(root.member("pre_tokenizer"), symbols),
        decoder(root.member("decoder"), symbols),
        vocabulary(file.vocab, root.where() + ", model.vocab", symbols),
        bpe(vocabulary, settings, root.where() + ", model"),
        added(root.member("added_tokens"), vocabulary, normalizer),
        special_tokens(read_post_processor(root.member("post_processor"))),
        fingerprint(file.fingerprint) {}

  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Decoder decoder;
  Vocabulary vocabulary;
  Bpe bpe;
  AddedTokens added;
  SpecialTokenTemplate special_tokens;
  std::uint64_t fingerprint;
};

Tokenizer Tokenizer::load(const std::filesystem::path& model_folder) {
  const std::filesystem::path path = model_folder / "tokenizer.json";
  TokenizerFile file = read_tokenizer_file(path);
  const JsonPlace root{file.rest, path.string(), ""};
  const JsonPlace model = root.member("model");
  const BpeSettings settings = read_bpe(model, file);
  const bool byte_fallback = model.member("byte_fallback").flag_or(false);
  auto tables = std::make_shared<Tables>(
      file, root, byte_fallback ? Symbols::characters : Symbols::bytes, settings);
  check_added_tokens(model_folder, tables->added);
  return Tokenizer(std::move(tables));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view utf8, bool add_special_tokens) const {
  return encode_with_spans(utf8, add_special_tokens).ids;
}

Encoding Tokenizer::encode_with_spans(std::string_view utf8, bool add_special_tokens) const {
  if (const std::size_t bad = utf8::first_ill_formed(utf8); bad != std::string_view::npos)
    throw InputError("text", "is not UTF-8 at byte " + std::to_string(bad));
  const Tables& tables = *tables_;
  Encoding result;
  if (add_special_tokens)
    for (const std::int32_t id : tables.special_tokens.before) result.add(id, {0, 0});
  for (const Piece& verbatim : tables.added.split_verbatim(utf8)) {
    const auto offset = static_cast<std::size_t>(verbatim.text.data() - utf8.data());
    if (verbatim.token != nullptr) {
      result.add(verbatim.token->id, {offset, offset + verbatim.text.size()});
      continue;
    }
    AlignedText normalized(verbatim.text, offset);
    tables.normalizer.apply(normalized);
    for (const Piece& piece : tables.added.split_normalized(normalized.text)) {
      const AlignedView text = normalized.view().of(piece.text);
      if (piece.token != nullptr)
        result.add(piece.token->id, text.original(0, text.text.size()));
      else
        tables.pre_tokenizer.for_each_word(
            text, [&](AlignedView word) { tables.bpe.encode(word, result); });
    }
  }
  if (add_special_tokens)
    for (const std::int32_t id : tables.special_tokens.after)
      result.add(id, {utf8.size(), utf8.size()});
  return result;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  const Vocabulary& vocabulary = tables_->vocabulary;
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) {
    if (const AddedToken* token = tables_->added.with_id(id)) {
      if (!token->special) tokens.push_back(vocabulary.parsed(token->sought).bytes);
    } else if (const std::string_view bytes = vocabulary.bytes(id); !bytes.empty()) {
      tokens.emplace_back(bytes);
    }
  }
  return tables_->decoder.text(std::move(tokens));
}

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const {
  if (const AddedToken* added = tables_->added.with_content(token)) return added->id;
  return tables_->vocabulary.id_of_token(token);
}

std::uint64_t Tokenizer::fingerprint() const { return tables_->fingerprint; }

}  // namespace rvsweep
