#include "cli/status_watch.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <fstream>
#include <iostream>
#include <thread>

#include "cli/commands.hpp"
#include "cli/status_page.hpp"
#include "rvsweep/core/stop_signal.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "rvsweep/sweep/status.hpp"

namespace rvsweep {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr int exit_interrupted = 130;  // as shells have it for SIGINT

/// Rows per second over the last half minute.
class RowRate {
 public:
  std::optional<double> update(std::int64_t rows) {
    const auto now = Clock::now();
    seen_.emplace_back(now, rows);
    while (now - seen_.front().first > std::chrono::seconds(30)) seen_.pop_front();
    const Seconds seconds = now - seen_.front().first;
    if (seconds.count() < 2) return std::nullopt;
    return static_cast<double>(rows - seen_.front().second) / seconds.count();
  }

 private:
  std::deque<std::pair<Clock::time_point, std::int64_t>> seen_;
};

/// Warnings and errors among the last lines of the log: "12:00:00 warning: ...".
std::vector<std::string> latest_warnings(const fs::path& log) {
  constexpr std::streamoff most = 65536;  // bytes read
  constexpr std::size_t time = 9;         // characters before the level
  std::ifstream stream(log, std::ios::binary | std::ios::ate);
  const std::streamoff size = stream.tellg();
  stream.seekg(std::max<std::streamoff>(0, size - most));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    for (const char* level : {"warning", "error", "critical"})
      if (line.size() > time && line.compare(time, std::string_view(level).size(), level) == 0)
        lines.push_back(line);
  return lines;
}

class Watch {
 public:
  explicit Watch(const fs::path& folder) : folder_(folder), journal_(folder) {}

  const StatusView& update() {
    // An extension writes a new plan.
    std::error_code missing;  // of a plan, read_bundle_of_item tells
    const auto planned = fs::last_write_time(plan_file(folder_), missing);
    if (missing || planned != plan_written_) items_ = read_bundle_of_item(folder_);
    plan_written_ = planned;
    view_.status = sweep_status(folder_, items_);
    view_.rows_per_second = std::nullopt;
    if (view_.status["state"] == "running")
      view_.rows_per_second = rate_.update(view_.status["rows_done"].get<std::int64_t>());
    const auto written = fs::last_write_time(status_file(folder_), missing);
    view_.seconds_since_update =
        missing ? 0 : std::max(0.0, Seconds(fs::file_time_type::clock::now() - written).count());
    view_.troubles = journal_.update();
    view_.warnings = latest_warnings(log_file(folder_));
    return view_;
  }

 private:
  fs::path folder_;
  BundleOfItem items_;
  fs::file_time_type plan_written_ = fs::file_time_type::min();
  RowRate rate_;
  JournalTroubles journal_;
  StatusView view_;
};

/// Lines of a terminal that are written over by the next ones.
class Page {
 public:
  void draw(const std::string& folder, const StatusView& view) {
    winsize window{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0)
      window = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    // One write with the cursor hidden: nothing flickers, and nothing is left to be undone.
    std::string text = "\033[?25l";
    if (drawn_ > 0 && window.ws_col != columns_)
      text += "\033[H\033[2J";  // lines may have been wrapped anew
    else if (drawn_ > 0)
      text += "\r\033[" + std::to_string(drawn_) + "A";
    const auto lines = status_page(folder, view, window.ws_col, window.ws_row - 1);
    for (const std::string& line : lines) text += line + "\033[K\n";
    text += "\033[J\033[?25h";
    std::cout << text << std::flush;
    drawn_ = lines.size();
    columns_ = window.ws_col;
  }

 private:
  std::size_t drawn_ = 0;
  unsigned columns_ = 0;
};

int exit_code_of(const nlohmann::ordered_json& status) {
  if (status["state"] == "died") return exit_internal_error;
  if (status["state"] == "stopped") return exit_stopped_early;
  return status.value("rows_failed", std::int64_t{0}) > 0 ? exit_failed_rows : exit_done;
}

}  // namespace

int watch_status(const fs::path& folder, bool json) {
  constexpr int seconds_between_lines = 10;
  install_stop_handlers();
  const bool on_terminal = isatty(STDOUT_FILENO) == 1;
  Watch watch(folder);
  Page page;
  for (int second = 0;; ++second) {
    const StatusView& view = watch.update();
    const bool over = is_over(view.status);
    if (json)
      std::cout << view.status.dump() << std::endl;
    else if (on_terminal)
      page.draw(folder.string(), view);
    else if (over || second % seconds_between_lines == 0)
      std::cout << status_line(view) << std::endl;
    if (over) return exit_code_of(view.status);
    for (int part = 0; part < 20; ++part) {
      if (stop_requested()) return exit_interrupted;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

}  // namespace rvsweep
