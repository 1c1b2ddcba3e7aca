#include "storage/checked_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ext/stdio_filebuf.h>
#include <istream>
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

/// What reading the fresh file back shows to be wrong.
std::optional<std::string> problem_on_disk(const fs::path& file, FileKind kind) {
  if (auto problem = verify_checked_file(file, kind)) return problem;
  const std::vector<std::string> unreadable = unreadable_datasets(file);
  return unreadable.empty() ? std::nullopt : std::optional(unreadable.front());
}

/// Generous for slow disks: reading at 10 MB/s.
unsigned seconds_allowed(const fs::path& file) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  return 10 + (error ? 0u : static_cast<unsigned>(bytes / 10'000'000));
}

/// Life of the child: writes its findings, one a line, and ends without running exit handlers of
/// the parent.
[[noreturn]] void report_findings(const fs::path& file, int output) {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(SIGALRM, SIG_DFL);
  alarm(seconds_allowed(file));
  const int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);  // a crash may be wordy
  std::string findings;
  try {
    for (const std::string& line : unreadable_datasets(file)) findings += line + "\n";
  } catch (const std::exception& error) {
    findings = std::string(error.what()) + "\n";
  }
  const bool written =
      write(output, findings.data(), findings.size()) == static_cast<ssize_t>(findings.size());
  _exit(written ? 0 : 1);
}

}  // namespace

void write_checked_file(const fs::path& file, FileKind kind,
                        const std::function<void(const h5::Handle&)>& fill) {
  const std::string what_to_do =
      "check the free space and permissions of that folder, then run again";
  try {
    TemporaryFile temporary(file);
    // Plain open(2) first: its reason for a refusal is clearer than HDF5's.
    Descriptor(temporary.path(), O_RDWR | O_CREAT | O_EXCL).close();
    h5::Handle written = h5::create_file(temporary.path());
    fill(written);
    written.close("writing the file");
    seal(temporary.path(), kind);
    if (const auto problem = problem_on_disk(temporary.path(), kind))
      throw OutputError(file.string(), "not written, reading it back shows: " + *problem,
                        what_to_do);
    temporary.put_in_place();
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

std::vector<std::string> locate_damage(const fs::path& file) {
  std::array<int, 2> ends;
  if (pipe(ends.data()) != 0) return {};
  const pid_t child = fork();
  if (child == 0) report_findings(file, ends[1]);
  close(ends[1]);
  __gnu_cxx::stdio_filebuf<char> pipe_end(ends[0], std::ios::in);
  std::istream findings(&pipe_end);
  std::vector<std::string> lines;
  for (std::string line; std::getline(findings, line);) lines.push_back(line);
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) lines.push_back("HDF5 cannot follow its structure");
  return lines;
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
