#include "storage/corruption.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>

#include "storage/checked_file.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

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

std::string read_to_end(int input) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t got = read(input, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}
}  // namespace

std::vector<std::string> locate_damage(const fs::path& file) {
  std::array<int, 2> ends;
  if (pipe(ends.data()) != 0) return {};
  const pid_t child = fork();
  if (child == 0) report_findings(file, ends[1]);
  close(ends[1]);
  std::istringstream findings(read_to_end(ends[0]));
  close(ends[0]);
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(findings, line);) lines.push_back(line);
  if (status != 0) lines.push_back("HDF5 cannot follow its structure");
  return lines;
}

}  // namespace rvsweep
