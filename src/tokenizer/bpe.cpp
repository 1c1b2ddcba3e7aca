#include "tokenizer/bpe.hpp"

#include <cstdio>
#include <queue>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/utf8.hpp"

namespace rvsweep {
namespace {

struct Candidate {
  std::int32_t rank;
  std::int32_t position;  // of the left symbol
  std::int32_t merged;
  // std::priority_queue gives the greatest first: the smallest rank, then the leftmost.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }
};

/// The token that byte_fallback has for a byte.
std::string fallback_token(int byte) {
  char text[7];
  std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
  return text;
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const BpeSettings& settings, const std::string& where)
    : vocabulary_(vocabulary),
      merges_(settings.merges.size()),
      ignore_merges_(settings.ignore_merges),
      fuse_unknown_(settings.fuse_unknown),
      whole_(static_cast<std::size_t>(vocabulary.size())) {
  for (std::size_t rank = 0; rank < settings.merges.size(); ++rank) {
    const auto& [left, right] = settings.merges[rank];
    const auto id_of = [&](const std::string& token) {
      const auto id = vocabulary.id_of_token(token);
      if (!id)
        throw InputError(where + ".merges[" + std::to_string(rank) + "]",
                         "token \"" + token + "\" is not in the vocabulary");
      return *id;
    };
    merges_.set(id_of(left), id_of(right), {static_cast<std::int32_t>(rank), id_of(left + right)});
  }
  bool complete = true;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = vocabulary.symbols() == Symbols::bytes
                                  ? std::string(1, static_cast<char>(byte))
                                  : fallback_token(byte);
    id_of_byte_[byte] = vocabulary.id_of_bytes(token).value_or(-1);
    complete = complete && id_of_byte_[byte] >= 0;
    if (!complete && vocabulary.symbols() == Symbols::characters)
      throw InputError(where + ".vocab", "has no token \"" + token + "\"",
                       "byte_fallback is supported where every byte has its token");
  }
  if (settings.unknown && !complete) {
    const auto id = vocabulary.id_of_token(*settings.unknown);
    if (!id)
      throw InputError(where + ".unk_token",
                       "token \"" + *settings.unknown + "\" is not in the vocabulary");
    unknown_id_ = *id;
  }
}

std::vector<Bpe::Symbol> Bpe::symbols_of(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  const auto add = [&](std::int32_t id, std::size_t begin, std::size_t end) {
    const auto index = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, index - 1, index + 1, static_cast<std::uint32_t>(begin),
                       static_cast<std::uint32_t>(end)});
  };
  bool after_unknown = false;
  for (std::size_t i = 0; i < word.size();) {
    if (vocabulary_.symbols() == Symbols::characters) {
      const std::size_t size = utf8::first(word.substr(i)).size;
      if (const auto id = vocabulary_.id_of_bytes(word.substr(i, size)))
        add(*id, i, i + size);
      else
        for (std::size_t k = i; k < i + size; ++k)
          add(id_of_byte_[static_cast<unsigned char>(word[k])], k, k + 1);
      i += size;
      continue;
    }
    const std::int32_t known = id_of_byte_[static_cast<unsigned char>(word[i++])];
    if (known >= 0)
      add(known, i - 1, i);
    else if (after_unknown && fuse_unknown_ && unknown_id_ >= 0)
      symbols.back().end = static_cast<std::uint32_t>(i);
    else if (unknown_id_ >= 0)
      add(unknown_id_, i - 1, i);
    after_unknown = known < 0;
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

void Bpe::merge(std::vector<Symbol>& symbols) const {
  std::vector<Candidate> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Candidate> candidates(std::less<Candidate>(), std::move(storage));
  const auto consider = [&](std::int32_t left) {
    if (left < 0 || symbols[left].next < 0) return;
    if (const Merge* merge = merges_.find(symbols[left].id, symbols[symbols[left].next].id))
      candidates.push({merge->rank, left, merge->merged});
  };
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) consider(static_cast<std::int32_t>(i));

  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.position];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    // One of the two may have merged with another symbol since this candidate was queued.
    const Merge* merge = merges_.find(left.id, right.id);
    if (merge == nullptr || merge->merged != best.merged) continue;
    left.id = best.merged;
    left.end = right.end;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].previous = best.position;
    consider(left.previous);
    consider(best.position);
  }
}

void Bpe::encode(AlignedView word, Encoding& encoding) const {
  const auto id = vocabulary_.id_of_bytes(word.text);
  if (!id) return add_merged(word, encoding);
  const auto add_token = [&] { encoding.add(*id, word.original(0, word.text.size())); };
  if (ignore_merges_) return add_token();
  std::atomic<Whole>& whole = whole_[static_cast<std::size_t>(*id)];
  const Whole known = whole.load(std::memory_order_relaxed);
  if (known == Whole::yes) return add_token();
  const std::size_t before = encoding.ids.size();
  add_merged(word, encoding);
  if (known == Whole::no) return;
  const bool is_whole = encoding.ids.size() == before + 1 && encoding.ids.back() == *id;
  whole.store(is_whole ? Whole::yes : Whole::no, std::memory_order_relaxed);
}

void Bpe::add_merged(AlignedView word, Encoding& encoding) const {
  std::vector<Symbol> symbols = symbols_of(word.text);
  if (symbols.empty()) return;
  merge(symbols);
  for (std::int32_t i = 0; i >= 0; i = symbols[i].next)
    encoding.add(symbols[i].id, word.original(symbols[i].begin, symbols[i].end));
}

}  // namespace rvsweep
