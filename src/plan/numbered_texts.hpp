#pragma once
// Few texts that many items share: each item keeps a number.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace rvsweep {

class NumberedTexts {
 public:
  /// Numbers are places in `texts`, which must outlive the object and be changed by it alone.
  explicit NumberedTexts(std::vector<std::string>& texts) : texts_(texts) {
    for (const std::string& text : texts) numbers_.emplace(text, numbers_.size());
  }

  /// Adds a text that is new.
  std::int32_t number_of(const std::string& text) {
    const auto [found, is_new] =
        numbers_.try_emplace(text, static_cast<std::int32_t>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return found->second;
  }

 private:
  std::vector<std::string>& texts_;
  std::unordered_map<std::string, std::int32_t> numbers_;
};

}  // namespace rvsweep
