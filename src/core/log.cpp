#include "rvsweep/core/log.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <cstdio>
#include <memory>
#include <mutex>

#include "rvsweep/core/terminal.hpp"

namespace rvsweep {
namespace {

const char* const wipe = "\r\033[K";

/// stderr with a progress line below the log.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void show(const std::string& line) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (terminal_ < 0) return;
    progress_ = line;
    std::fprintf(stderr, "%s%s", wipe, progress_.c_str());
    std::fflush(stderr);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    if (!progress_.empty()) std::fputs(wipe, stderr);
    std::fwrite(text.data(), 1, text.size(), stderr);
    if (!progress_.empty()) std::fputs(progress_.c_str(), stderr);
    std::fflush(stderr);
  }
  void flush_() override { std::fflush(stderr); }

 private:
  const int terminal_ = terminal_of_stderr();
  std::string progress_;
};

std::shared_ptr<TerminalSink> terminal() {
  static const auto sink = std::make_shared<TerminalSink>();
  return sink;
}

}  // namespace

void start_log(int rank, int n_ranks, const std::string& file) {
  std::vector<spdlog::sink_ptr> sinks{terminal()};
  if (!file.empty() && rank == 0)
    sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
  auto logger = std::make_shared<spdlog::logger>("rvsweep", sinks.begin(), sinks.end());
  const std::string who = n_ranks > 1 ? " rank " + std::to_string(rank) : "";
  logger->set_pattern("%H:%M:%S %l" + who + ": %v");
  logger->set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

void show_progress(const std::string& line) { terminal()->show(line); }

}  // namespace rvsweep
