#pragma once
// Prompt files: one record a line of JSON, or a table with a header.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace rvsweep {

struct RecordKey {
  std::string name;
  std::optional<std::string> default_value;  // none: every record has the key
  bool is_json = false;                      // any value, as JSON text; a text in a table
  /// Another key that may stand for it and that of the pair's other side: one text for both, or, in
  /// JSON, {"source": text, "base": text}.
  std::string of_both = {};
  bool is_later = false;  // part of the fingerprint, with its name, only where a record gives it
};

/// What the records of a file hold; further keys or columns are the user's own.
struct RecordForm {
  std::vector<RecordKey> keys;
  std::string example;         // what a line reads, for messages
  std::string foreign_key;     // a record that lacks a key and has this one is of another kind
  std::string foreign_record;  // what that is and what to do
};

/// Throws InputError where `of_sides`, an object that `what` names, has a key that is no side of a
/// pair.
void refuse_other_sides(const nlohmann::json& of_sides, const std::string& what,
                        const std::string& where);

/// Called for every record with its line, counted from 1, and the value of each of the form's keys.
using TakeRecord = std::function<void(int line, std::vector<std::string> values)>;

/// Reads a table (see CsvReader) where the file's name ends in .csv or .tsv, in any case, and JSON
/// lines, one at a time, elsewhere; returns xxh3 of all values. Blanks around the header's names
/// and their case do not matter. Throws InputError naming file and prompts.file when it cannot be
/// read, and file:line for an empty or malformed line, a key missing or of the wrong type, text
/// that is not UTF-8 or holds NUL, a CSV record with more or fewer fields than the header, a header
/// that names a column twice or lacks one.
std::uint64_t read_records(const std::filesystem::path& file, const RecordForm& form,
                           const TakeRecord& take);

}  // namespace rvsweep
