#include "rvsweep/core/host.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "rvsweep/core/read_file.hpp"

namespace rvsweep {

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0) return "unknown-host";
  return name;
}

bool process_is_alive(long pid) {
  if (pid <= 0 || (kill(static_cast<pid_t>(pid), 0) != 0 && errno != EPERM)) return false;
  // A killed process that nobody has waited for still has its id, and state Z after its name.
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat").value_or("");
  const auto name_end = stat.rfind(") ");
  return name_end == std::string::npos || stat.substr(name_end + 2, 1) != "Z";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace rvsweep
