#include "storage/checked_file.hpp"

#include <fcntl.h>

#include <array>
#include <string_view>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/storage/files.hpp"
#include "storage/h5_column.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kind_names{"plan", "segment", "results"};

std::string first_block(FileKind kind, std::uint64_t digest) {
  std::string block = "rvsweep " + std::string(kind_names.at(static_cast<std::size_t>(kind))) +
                      " xxh3 " + hex(digest) + "\n";
  block.resize(h5::user_block_bytes, '\0');
  return block;
}

std::uint64_t digest_after_first_block(const Descriptor& descriptor) {
  Hasher hasher;
  std::vector<char> buffer(1 << 20);
  std::size_t offset = h5::user_block_bytes;
  for (;;) {
    const std::size_t got = descriptor.read_at(offset, buffer.data(), buffer.size());
    hasher.update(buffer.data(), got);
    offset += got;
    if (got < buffer.size()) return hasher.digest();
  }
}

std::string read_first_block(const Descriptor& descriptor) {
  std::string block(h5::user_block_bytes, '\0');
  block.resize(descriptor.read_at(0, block.data(), block.size()));
  return block;
}

std::optional<FileKind> kind_in(std::string_view block) {
  for (std::size_t i = 0; i < kind_names.size(); ++i)
    if (block.starts_with("rvsweep " + std::string(kind_names[i]) + " xxh3 "))
      return static_cast<FileKind>(i);
  return std::nullopt;
}

/// Writes the digest into the first line and brings the file to the disk.
void seal(const fs::path& file, FileKind kind) {
  Descriptor descriptor(file, O_RDWR);
  descriptor.write_at(0, first_block(kind, digest_after_first_block(descriptor)));
  descriptor.sync();
  descriptor.close();
}

/// A temporary file that is removed unless it was renamed.
class Temporary {
 public:
  explicit Temporary(const fs::path& final) : path_(temporary_name(final)) {
    // Plain open(2) first: its reason for a refusal is clearer than HDF5's.
    Descriptor(path_, O_RDWR | O_CREAT | O_EXCL).close();
  }
  ~Temporary() {
    if (renamed_) return;
    std::error_code ignored;
    fs::resize_file(path_, 0, ignored);  // HDF5 may hold it open for good, see h5::Handle
    fs::remove(path_, ignored);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const fs::path& path() const { return path_; }
  void rename_to(const fs::path& final) {
    rename_file(path_, final);
    renamed_ = true;
  }

 private:
  fs::path path_;
  bool renamed_ = false;
};

void fill_file(const fs::path& path, const std::function<void(const h5::Handle&)>& fill) {
  h5::Handle file = h5::create_file(path);
  fill(file);
  file.close("writing the file");
}

/// What reading the fresh file back shows to be wrong.
std::optional<std::string> problem_on_disk(const fs::path& file, FileKind kind) {
  if (auto problem = verify_checked_file(file, kind)) return problem;
  const std::vector<std::string> unreadable = unreadable_datasets(file);
  if (unreadable.empty()) return std::nullopt;
  return unreadable.front();
}

}  // namespace

void write_checked_file(const fs::path& file, FileKind kind,
                        const std::function<void(const h5::Handle&)>& fill) {
  const std::string what_to_do =
      "check the free space and permissions of that folder, then run again";
  try {
    Temporary temporary(file);
    fill_file(temporary.path(), fill);
    seal(temporary.path(), kind);
    if (const auto problem = problem_on_disk(temporary.path(), kind))
      throw OutputError(file.string(), "not written, reading it back shows: " + *problem,
                        what_to_do);
    temporary.rename_to(file);
    sync_folder(file.parent_path().empty() ? "." : file.parent_path());
  } catch (const h5::Error& error) {
    throw OutputError(file.string(), std::string("not written: ") + error.what(), what_to_do);
  }
}

std::optional<std::string> digest_problem(const fs::path& file, FileKind kind) {
  try {
    const Descriptor descriptor(file, O_RDONLY);
    descriptor.drop_cache();
    const std::string block = read_first_block(descriptor);
    const std::string name(kind_names.at(static_cast<std::size_t>(kind)));
    if (kind_in(block) != kind) return "its first line does not mark it as a " + name + " file";
    if (block != first_block(kind, digest_after_first_block(descriptor)))
      return "its bytes do not match its checksum";
  } catch (const OutputError& error) {
    return error.what();
  }
  return std::nullopt;
}

std::optional<std::string> verify_checked_file(const fs::path& file, FileKind kind) {
  if (auto problem = digest_problem(file, kind)) return problem;
  try {
    h5::open_file(file).close("closing the file");
  } catch (const h5::Error& error) {
    return error.what();
  }
  return std::nullopt;
}

std::vector<std::string> unreadable_datasets(const fs::path& file) {
  std::vector<std::string> unreadable;
  const h5::Handle opened = h5::open_file(file);
  for (const std::string& path : h5::object_paths(opened)) {
    try {
      if (h5::is_dataset(opened, path)) h5::read_through(h5::open_dataset(opened, path));
    } catch (const h5::Error& error) {
      unreadable.push_back("/" + path + " cannot be read: " + error.what());
    }
  }
  return unreadable;
}

std::optional<FileKind> kind_of_file(const fs::path& file) {
  try {
    return kind_in(read_first_block(Descriptor(file, O_RDONLY)));
  } catch (const OutputError&) {
    return std::nullopt;
  }
}

h5::Handle open_checked_file(const fs::path& file, FileKind kind) {
  if (const auto problem = verify_checked_file(file, kind))
    throw InputError(file.string(), *problem, "run `rvsweep verify` on the sweep folder");
  return h5::open_file(file);
}

}  // namespace rvsweep
