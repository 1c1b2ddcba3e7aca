#pragma once
// The log goes to stderr (spdlog); stdout belongs to results. A progress line, when stderr is a
// terminal, is wiped before every log line and drawn again after it.
#include <spdlog/spdlog.h>

#include <string>

namespace rvsweep {

/// Names the rank in every line unless there is only one; ranks other than 0 log warnings only.
/// `file` also receives the log, on rank 0; empty: no file.
void start_log(int rank, int n_ranks, const std::string& file = "");

/// Shows `line` as the last line of the terminal; nothing where stderr is not one. Empty wipes it.
void show_progress(const std::string& line);

}  // namespace rvsweep
