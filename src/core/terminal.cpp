#include "rvsweep/core/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/parse_number.hpp"

namespace rvsweep {

int terminal_of_stderr() {
  if (isatty(STDERR_FILENO) == 1) return STDERR_FILENO;
  if (std::getenv("OMPI_COMM_WORLD_RANK") == nullptr) return -1;
  const std::string of_parent = "/proc/" + std::to_string(getppid()) + "/fd/2";
  static const Descriptor parent(::open(of_parent.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC),
                                 of_parent);
  return isatty(parent.get()) == 1 ? parent.get() : -1;
}

int columns_of_stderr() {
  const char* set = std::getenv("COLUMNS");
  if (const auto number = parse_number<int>(set == nullptr ? "" : set); number > 0) return *number;
  winsize window{};
  return ioctl(terminal_of_stderr(), TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col
                                                                                    : 80;
}

}  // namespace rvsweep
