#pragma once
// Token lists that are kept for long, in a byte or two each.
#include <cstdint>
#include <span>
#include <vector>

#include "rvsweep/core/text_store.hpp"

namespace rvsweep {

/// Lists of token ids by number, in the order in which they were added. Ids are stored as LEB128:
/// two bytes below 16,384, three below 2,097,152.
class TokenStore {
 public:
  void add(std::span<const std::int32_t> tokens);
  std::vector<std::int32_t> operator[](std::size_t number) const;
  std::size_t size() const { return packed_.size(); }

 private:
  TextStore packed_;
};

}  // namespace rvsweep
