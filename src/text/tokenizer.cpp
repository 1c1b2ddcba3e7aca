#include "rvsweep/text/tokenizer.hpp"

#include <algorithm>

#include "rvsweep/core/error.hpp"
#include "rvsweep/text/added_tokens.hpp"
#include "rvsweep/text/bpe.hpp"
#include "rvsweep/text/byte_alphabet.hpp"
#include "rvsweep/text/pre_tokenizer.hpp"
#include "rvsweep/text/template_processor.hpp"
#include "rvsweep/text/tokenizer_file.hpp"
#include "rvsweep/text/utf8.hpp"

namespace rvsweep {
namespace {

const char* const supported_models = "supported is byte-level BPE";

/// Refuses what would change the ids and is not done here; `file` gives up its merges.
BpeSettings read_bpe(const JsonPlace& model, TokenizerFile& file) {
  // Older files lack the member "type".
  if (const JsonPlace type = model.member("type"); !type.is_null() && type.text() != "BPE")
    model.refuse(type.text(), supported_models);
  if (!file.has_vocab) throw InputError(model.where() + ".vocab", "is not an object of token ids");
  if (!file.has_merges) throw InputError(model.where() + ".merges", "is not a list");
  if (model.member("byte_fallback").flag_or(false))
    model.refuse("BPE with byte_fallback", supported_models);
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

void check_normalizer(const JsonPlace& place) {
  if (!place.is_null())
    place.refuse("normalizer " + place.type(), "supported are tokenizers without one");
}

void check_decoder(const JsonPlace& place) {
  const char* const supported = "supported is ByteLevel";
  if (place.is_null()) place.refuse("null (tokens joined by spaces)", supported);
  const std::string type = place.type();
  if (type == "Sequence") {
    const JsonPlace parts = place.member("decoders");
    if (parts.array().size() != 1) place.refuse("a Sequence of several decoders", supported);
    check_decoder(parts.element(0));
  } else if (type != "ByteLevel") {
    place.refuse(type, supported);
  }
}

}  // namespace

struct Tokenizer::Tables {
  Tables(const TokenizerFile& file, const JsonPlace& root, const BpeSettings& settings)
      : vocabulary(file.vocab, root.where() + ", model.vocab"),
        bpe(vocabulary, settings, root.where() + ", model"),
        added(root.member("added_tokens"), vocabulary),
        pre_tokenizer(root.member("pre_tokenizer")),
        special_tokens(read_post_processor(root.member("post_processor"))),
        fingerprint(file.fingerprint) {}

  Vocabulary vocabulary;
  Bpe bpe;
  AddedTokens added;
  PreTokenizer pre_tokenizer;
  SpecialTokenTemplate special_tokens;
  std::uint64_t fingerprint;
};

Tokenizer Tokenizer::load(const std::filesystem::path& model_folder) {
  const std::filesystem::path path = model_folder / "tokenizer.json";
  TokenizerFile file = read_tokenizer_file(path);
  const JsonPlace root{file.rest, path.string(), ""};
  const BpeSettings settings = read_bpe(root.member("model"), file);
  check_normalizer(root.member("normalizer"));
  check_decoder(root.member("decoder"));
  return Tokenizer(std::make_shared<Tables>(file, root, settings));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view utf8, bool add_special_tokens) const {
  if (const std::size_t bad = utf8::first_ill_formed(utf8); bad != std::string_view::npos)
    throw InputError("text", "is not UTF-8 at byte " + std::to_string(bad));
  const auto& [before, after] = tables_->special_tokens;
  std::vector<std::int32_t> ids;
  if (add_special_tokens) ids = before;
  for (const Piece& piece : tables_->added.split(utf8)) {
    if (piece.token != nullptr) {
      ids.push_back(piece.token->id);
    } else {
      tables_->pre_tokenizer.for_each_word(
          piece.text, [&](std::string_view word) { tables_->bpe.encode(word, ids); });
    }
  }
  if (add_special_tokens) ids.insert(ids.end(), after.begin(), after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (const AddedToken* token = tables_->added.with_id(id)) {
      if (!token->special || !skip_special_tokens) bytes += bytes_of_token(token->content).bytes;
    } else {
      bytes += tables_->vocabulary.bytes(id);
    }
  }
  return utf8::replace_ill_formed(bytes);
}

std::int32_t Tokenizer::vocab_size() const {
  std::int32_t size = tables_->vocabulary.size();
  for (const AddedToken& token : tables_->added.all()) size = std::max(size, token.id + 1);
  return size;
}

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const {
  if (const AddedToken* added = tables_->added.with_content(token)) return added->id;
  return tables_->vocabulary.id_of_token(token);
}

std::uint64_t Tokenizer::fingerprint() const { return tables_->fingerprint; }

}  // namespace rvsweep
