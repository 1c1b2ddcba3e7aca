#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace rvsweep {

/// Which datasets of a file whose checksum is wrong cannot be read; one line each. HDF5 may crash
/// or loop for ever on damaged structure, so a child process reads, within a time limit, and what
/// became of it is reported. Never throws on damage.
std::vector<std::string> locate_damage(const std::filesystem::path& file);

}  // namespace rvsweep
