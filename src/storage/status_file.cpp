#include "rvsweep/storage/status_file.hpp"

#include <fcntl.h>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

namespace rvsweep {
namespace fs = std::filesystem;

void write_status(const fs::path& sweep_folder, const std::string& text) {
  TemporaryFile temporary(status_file(sweep_folder));
  Descriptor descriptor(temporary.path(), O_WRONLY | O_CREAT | O_EXCL);
  descriptor.write_at(0, text);
  descriptor.close();
  temporary.put_in_place();
}

std::optional<std::string> read_status(const fs::path& sweep_folder) {
  const fs::path file = status_file(sweep_folder);
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  return Descriptor(file, O_RDONLY).read_all();
}

}  // namespace rvsweep
