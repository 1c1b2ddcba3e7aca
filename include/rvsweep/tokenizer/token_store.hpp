#pragma once
// Many token lists, at two or three bytes a token.
#include <cstdint>
#include <span>
#include <vector>

#include "rvsweep/core/text_store.hpp"

namespace rvsweep {

/// Lists of token ids by index, in the order in which they were added. Ids are stored as LEB128:
/// two bytes below 16,384, three below 2,097,152.
class TokenStore {
 public:
  void add(std::span<const std::int32_t> tokens);
  std::vector<std::int32_t> operator[](std::size_t index) const;
  std::size_t size() const { return packed_.size(); }

 private:
  TextStore packed_;
};

}  // namespace rvsweep
