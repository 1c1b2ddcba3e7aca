#include "rvsweep/core/spilled_texts.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr std::size_t written_at_once = std::size_t{1} << 20;

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::string& problem) {
  throw OutputError(folder.string(), "cannot hold the texts of prompts (" + problem + ")",
                    "set TMPDIR to a folder with room");
}

void fail(const std::filesystem::path& folder, const std::string&, int error_number) {
  refuse(folder, reason_of(error_number));
}

}  // namespace

void SpilledTexts::add(std::string_view text) {
  if (file_.get() < 0) open();
  unwritten_ += text;
  ends_.push_back(written_ + unwritten_.size());
  if (unwritten_.size() >= written_at_once) flush();
}

std::string SpilledTexts::operator[](std::size_t index) const {
  const std::uint64_t begin = index == 0 ? 0 : ends_[index - 1];
  if (begin >= written_) return unwritten_.substr(begin - written_, ends_[index] - begin);
  std::string text(ends_[index] - begin, '\0');
  if (file_.read_at(begin, text.data(), text.size()) < text.size())
    refuse(file_.file(), "the file was cut short");
  return text;
}

void SpilledTexts::open() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) refuse(folder, error.message());
  std::string name = (folder / "rvsweep-texts-XXXXXX").string();
  const int fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) refuse(folder, reason_of(errno));
  unlink(name.c_str());
  file_ = Descriptor(fd, folder, {fail, fail});
}

/// A text is never cut: it lies either in the file or in what is still to be written.
void SpilledTexts::flush() {
  file_.write_at(written_, unwritten_);
  written_ += unwritten_.size();
  unwritten_.clear();
}

}  // namespace rvsweep
