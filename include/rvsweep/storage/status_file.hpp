#pragma once
// DIR/status.json: rewritten about once a second while a sweep runs. Its content is the caller's.
#include <filesystem>
#include <optional>
#include <string>

namespace rvsweep {

/// Replaces the file as a whole: a reader sees the old or the new text. No fsync: a crash may lose
/// it. OutputError when it cannot be written.
void write_status(const std::filesystem::path& sweep_folder, const std::string& text);

/// The text, or nothing when there is no such file. OutputError when it cannot be read.
std::optional<std::string> read_status(const std::filesystem::path& sweep_folder);

}  // namespace rvsweep
