#pragma once
// Separated values as RFC 4180 has them and spreadsheets write them, read record by record.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rvsweep {

/// Fields are separated by the first of comma, semicolon and tab that stands in the first line; one
/// that begins with a quote may hold separators, line ends and doubled quotes. A record ends with
/// LF, CRLF or CR. A byte order mark at the start is skipped, and so is Excel's line "sep=;", which
/// names the separator.
class CsvReader {
 public:
  /// `text` must outlive the reader; `file` is its name in messages.
  CsvReader(std::string_view text, std::string file);

  /// The fields of the next record, at least one; none at the end. Throws InputError naming
  /// file:line for UTF-16, a quote inside an unquoted field, text after a closing quote, a quote
  /// that is never closed, a field that is not UTF-8.
  std::optional<std::vector<std::string>> next();

  /// The line on which the last record of next() begins, from 1.
  int line() const { return record_line_; }

 private:
  std::string field();
  std::string quoted();
  bool take(char c);
  bool at_field_end() const;
  void take_line_end();
  [[noreturn]] void refuse(int line, const std::string& problem, const std::string& advice) const;

  std::string_view text_;
  std::string file_;
  char separator_ = ',';
  std::size_t at_ = 0;
  int line_ = 1;
  int record_line_ = 1;
};

}  // namespace rvsweep
