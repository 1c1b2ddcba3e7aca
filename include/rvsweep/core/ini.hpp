#pragma once
// INI files: [section], key = value, # comment.
#include <istream>
#include <string>
#include <vector>

namespace rvsweep {

struct IniEntry {
  std::string key;    // "section.key"; "key" before the first section
  std::string value;  // without blanks at its ends; may be empty
  int line = 0;       // from 1
};

/// The entries in their order. `file` names the text in messages. A byte order mark in
/// front is skipped. Throws InputError naming the first line that is none of the three, holds NUL
/// or has its value in quotes, and where the file is UTF-16.
std::vector<IniEntry> read_ini(std::istream& stream, const std::string& file);

}  // namespace rvsweep
