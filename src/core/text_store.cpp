#include "rvsweep/core/text_store.hpp"

#include <algorithm>
#include <limits>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

void TextStore::add(std::string_view text) {
  constexpr std::size_t piece_bytes = std::size_t{1} << 20;
  RVSWEEP_EXPECT(text.size() <= std::numeric_limits<std::uint32_t>::max(),
                 "a text of the store has at most 4 GiB");
  if (pieces_.empty() || pieces_.back().capacity() - pieces_.back().size() < text.size()) {
    pieces_.emplace_back();
    pieces_.back().reserve(std::max(piece_bytes, text.size()));
  }
  std::vector<char>& piece = pieces_.back();
  slices_.push_back({static_cast<std::uint32_t>(pieces_.size() - 1),
                     static_cast<std::uint32_t>(piece.size()),
                     static_cast<std::uint32_t>(text.size())});
  piece.insert(piece.end(), text.begin(), text.end());
}

std::string_view TextStore::operator[](std::size_t index) const {
  const Slice& slice = slices_[index];
  return {pieces_[slice.piece].data() + slice.begin, slice.size};
}

}  // namespace rvsweep
