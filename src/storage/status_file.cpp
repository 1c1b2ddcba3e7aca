#include "rvsweep/storage/status_file.hpp"

#include <fcntl.h>

#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

namespace rvsweep {
namespace fs = std::filesystem;

void write_status(const fs::path& sweep_folder, const std::string& text) {
  const fs::path file = status_file(sweep_folder);
  const fs::path temporary = temporary_name(file);
  try {
    Descriptor descriptor(temporary, O_WRONLY | O_CREAT | O_EXCL);
    descriptor.write_at(0, text);
    descriptor.close();
    rename_file(temporary, file);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

std::optional<std::string> read_status(const fs::path& sweep_folder) {
  const fs::path file = status_file(sweep_folder);
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  const Descriptor descriptor(file, O_RDONLY);
  std::string text;
  std::string buffer(65536, '\0');
  for (;;) {
    const std::size_t got = descriptor.read_at(text.size(), buffer.data(), buffer.size());
    text.append(buffer, 0, got);
    if (got < buffer.size()) return text;
  }
}

}  // namespace rvsweep
