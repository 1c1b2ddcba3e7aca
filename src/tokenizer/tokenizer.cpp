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

/// transformers adds tokens that only tokenizer_config.json has, under ids that need not be the
/// model's.
void check_added_tokens(const std::filesystem::path& tokenizer_config, const AddedTokens& added) {
  const auto text = read_file(tokenizer_config);
  if (!text) return;
  const auto object = parse_json(*text, tokenizer_config.string());
  const JsonPlace tokens =
      JsonPlace{object, tokenizer_config.string(), ""}.member("added_tokens_decoder");
  if (tokens.is_null()) return;
  for (const auto& [id, token] : tokens.value.items()) {
    const std::string content = tokens.member(id).member("content").text();
    const AddedToken* known = added.with_content(content);
    if (known == nullptr || std::to_string(known->id) != id)
      throw InputError(tokens.where(),
                       "token \"" + content + "\" with the id " + id +
                           " is not among the added tokens of tokenizer.json",
                       "save the tokenizer once more with transformers, which then writes both");
  }
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
  check_added_tokens(model_folder / "tokenizer_config.json", tables->added);
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
