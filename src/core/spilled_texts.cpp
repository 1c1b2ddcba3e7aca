#include "rvsweep/core/spilled_texts.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr std::size_t written_at_once = std::size_t{1} << 20;

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::string& problem) {
  throw OutputError(folder.string(), "cannot hold the texts of prompts (" + problem + ")",
                    "set TMPDIR to a folder with room");
}

}  // namespace

SpilledTexts::~SpilledTexts() {
  if (file_ >= 0) close(file_);
}

SpilledTexts::SpilledTexts(SpilledTexts&& other) noexcept { *this = std::move(other); }

SpilledTexts& SpilledTexts::operator=(SpilledTexts&& other) noexcept {
  std::swap(folder_, other.folder_);
  std::swap(file_, other.file_);
  std::swap(ends_, other.ends_);
  std::swap(written_, other.written_);
  std::swap(rest_, other.rest_);
  return *this;
}

void SpilledTexts::add(std::string_view text) {
  if (file_ < 0) open();
  rest_ += text;
  ends_.push_back(written_ + rest_.size());
  if (rest_.size() >= written_at_once) flush();
}

std::string SpilledTexts::operator[](std::size_t number) const {
  const std::uint64_t begin = number == 0 ? 0 : ends_[number - 1];
  if (begin >= written_) return rest_.substr(begin - written_, ends_[number] - begin);
  std::string text(ends_[number] - begin, '\0');
  for (std::size_t got = 0; got < text.size();) {
    const ssize_t bytes =
        pread(file_, text.data() + got, text.size() - got, static_cast<off_t>(begin + got));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) refuse(folder_, bytes < 0 ? std::strerror(errno) : "the file was cut short");
    got += static_cast<std::size_t>(bytes);
  }
  return text;
}

void SpilledTexts::open() {
  std::error_code error;
  folder_ = std::filesystem::temp_directory_path(error);
  if (error) refuse(folder_, error.message());
  std::string name = (folder_ / "rvsweep-texts-XXXXXX").string();
  file_ = mkostemp(name.data(), O_CLOEXEC);
  if (file_ < 0) refuse(folder_, std::strerror(errno));
  unlink(name.c_str());
}

/// Texts end where a write ends, so that each lies on one side.
void SpilledTexts::flush() {
  for (std::size_t done = 0; done < rest_.size();) {
    const ssize_t bytes = pwrite(file_, rest_.data() + done, rest_.size() - done,
                                 static_cast<off_t>(written_ + done));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) refuse(folder_, std::strerror(errno));
    done += static_cast<std::size_t>(bytes);
  }
  written_ += rest_.size();
  rest_.clear();
}

}  // namespace rvsweep
