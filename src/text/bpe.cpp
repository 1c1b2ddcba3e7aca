#include "rvsweep/text/bpe.hpp"

#include <algorithm>
#include <queue>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

struct Symbol {
  std::int32_t id;              // -1 once merged into the symbol on its left
  std::int32_t previous, next;  // -1 at the ends
};

struct Candidate {
  std::int32_t rank;
  std::int32_t position;  // of the left symbol
  std::int32_t merged;
  // std::priority_queue gives the greatest first: the smallest rank, then the leftmost.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }
};

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const BpeSettings& settings, const std::string& where)
    : vocabulary_(vocabulary),
      merges_(settings.merges.size()),
      ignore_merges_(settings.ignore_merges),
      fuse_unknown_(settings.fuse_unknown) {
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
    const char single = static_cast<char>(byte);
    id_of_byte_[byte] = vocabulary.id_of_bytes({&single, 1}).value_or(-1);
    complete = complete && id_of_byte_[byte] >= 0;
  }
  if (settings.unknown && !complete) {
    const auto id = vocabulary.id_of_token(*settings.unknown);
    if (!id)
      throw InputError(where + ".unk_token",
                       "token \"" + *settings.unknown + "\" is not in the vocabulary");
    unknown_id_ = *id;
  }
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto id = vocabulary_.id_of_bytes(word)) return ids.push_back(*id);
  }
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  bool after_unknown = false;
  for (const char byte : word) {
    const std::int32_t known = id_of_byte_[static_cast<unsigned char>(byte)];
    const std::int32_t id = known >= 0 ? known : unknown_id_;
    const bool fused = known < 0 && after_unknown && fuse_unknown_;
    after_unknown = known < 0;
    if (id < 0 || fused) continue;
    const auto place = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, place - 1, place + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;

  std::vector<Candidate> room;
  room.reserve(symbols.size());
  std::priority_queue<Candidate> candidates(std::less<Candidate>(), std::move(room));
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
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].previous = best.position;
    consider(left.previous);
    consider(best.position);
  }
  for (std::int32_t i = 0; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace rvsweep
