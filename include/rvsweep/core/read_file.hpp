#pragma once
#include <filesystem>
#include <optional>
#include <string>

namespace rvsweep {

/// The bytes of a file; none where it is missing, a folder or unreadable.
std::optional<std::string> read_file(const std::filesystem::path& file);

}  // namespace rvsweep
