#pragma once
// Many texts that are kept for long but seldom read, on the disk rather than in memory.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/core/descriptor.hpp"

namespace rvsweep {

/// Texts by index, in the order in which they were added. They lie in an unnamed file in the folder
/// for temporary files (TMPDIR), which goes with the object or the process. Functions that use the
/// file throw OutputError naming that folder. Texts may be read by several threads at once.
class SpilledTexts {
 public:
  void add(std::string_view text);
  std::string operator[](std::size_t index) const;
  std::size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }

 private:
  void open();
  void flush();

  Descriptor file_;                  // opened with the first text; named by its folder
  std::vector<std::uint64_t> ends_;  // of each text: bytes from the file's begin
  std::uint64_t written_ = 0;        // bytes
  std::string unwritten_;            // what comes behind them
};

}  // namespace rvsweep
