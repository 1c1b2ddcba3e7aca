#pragma once
// Many texts that are kept for long but seldom read, on the disk rather than in memory.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rvsweep {

/// Texts by number, in the order in which they were added. They lie in a file without a name in the
/// folder for temporary files (TMPDIR), which goes with the object or the process. Functions that
/// use the file throw OutputError naming that folder. Texts may be read by several threads at once.
class SpilledTexts {
 public:
  SpilledTexts() = default;
  ~SpilledTexts();
  SpilledTexts(SpilledTexts&& other) noexcept;
  SpilledTexts& operator=(SpilledTexts&& other) noexcept;

  void add(std::string_view text);
  std::string operator[](std::size_t number) const;
  std::size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }

 private:
  void open();
  void flush();

  std::filesystem::path folder_;
  int file_ = -1;                    // opened with the first text
  std::vector<std::uint64_t> ends_;  // of each text: bytes from the file's begin
  std::uint64_t written_ = 0;        // bytes
  std::string rest_;                 // what comes behind them
};

}  // namespace rvsweep
