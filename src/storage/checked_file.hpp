#pragma once
// HDF5 files that carry their own checksum and appear whole or not at all. The 512-byte user block,
// which HDF5 readers skip, holds one line, `rvsweep <kind> xxh3 <16 hex digits>\n`, padded with
// NUL; the digest covers every byte after it.
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "storage/h5.hpp"

namespace rvsweep {

enum class FileKind { plan, segment, results };

/// Writes `file` through `fill`, which gets the empty HDF5 file: temporary name in the same folder,
/// close, checksum, fsync, reopen and read everything back, rename over `file`, fsync the folder.
/// Whatever fails (a full disk shows only on reading back), the temporary is removed, an older
/// `file` is untouched and OutputError names file and reason.
void write_checked_file(const std::filesystem::path& file, FileKind kind,
                        const std::function<void(const h5::Handle&)>& fill);

/// Recomputes the digest from the disk; what is wrong, or nothing.
std::optional<std::string> digest_problem(const std::filesystem::path& file, FileKind kind);

/// The same, and whether HDF5 opens the file.
std::optional<std::string> verify_checked_file(const std::filesystem::path& file, FileKind kind);

/// Reads every dataset in full: the lines name those that cannot be read, with the reason.
/// Fletcher-32 makes damage in a compressed dataset show here. h5::Error when the file cannot be
/// listed.
std::vector<std::string> unreadable_datasets(const std::filesystem::path& file);

/// unreadable_datasets of a file whose checksum is wrong. HDF5 may crash or loop for ever on
/// damaged structure, so a child process reads, within a time limit, and what became of it is
/// reported. Never throws on damage.
std::vector<std::string> locate_damage(const std::filesystem::path& file);

/// The kind that the first line names; nothing for any other file.
std::optional<FileKind> kind_of_file(const std::filesystem::path& file);

/// Verifies and opens for reading. InputError with what is wrong.
h5::Handle open_checked_file(const std::filesystem::path& file, FileKind kind);

}  // namespace rvsweep
