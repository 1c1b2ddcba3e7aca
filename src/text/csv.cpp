#include "text/csv.hpp"

#include <utility>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/utf8.hpp"

namespace rvsweep {

CsvReader::CsvReader(std::string_view text, std::string file)
    : text_(text), file_(std::move(file)) {
  text_ = utf8::without_mark(text_, file_ + ":1");
  const std::string_view first = text_.substr(0, text_.find_first_of("\r\n"));
  if (first.starts_with("sep=") && first.size() == 5) {
    separator_ = first[4];
    at_ = first.size();
    take_line_end();
  } else if (const auto at = first.find_first_of(",;\t"); at != std::string_view::npos) {
    separator_ = first[at];
  }
}

std::optional<std::vector<std::string>> CsvReader::next() {
  if (at_ == text_.size()) return std::nullopt;
  record_line_ = line_;
  std::vector<std::string> fields;
  do {
    fields.push_back(field());
  } while (take(separator_));
  take_line_end();
  return fields;
}

std::string CsvReader::field() {
  const int line = line_;
  std::string value;
  if (take('"')) {
    value = quoted();
  } else {
    while (!at_field_end()) value += text_[at_++];
    if (value.find('"') != std::string::npos)
      refuse(line, "has a quote inside an unquoted field",
             "put the field into quotes and double the quotes inside");
  }
  if (utf8::first_ill_formed(value) != std::string_view::npos)
    refuse(line, "is not UTF-8", "save the file as UTF-8");
  return value;
}

/// The rest of a field whose opening quote has been taken.
std::string CsvReader::quoted() {
  const int line = line_;
  std::string value;
  for (;;) {
    if (at_ == text_.size())
      refuse(line, "has a quote that is never closed", "close the quoted field");
    if (take('"')) {
      if (!take('"')) break;
      value += '"';
    } else if (text_[at_] == '\r' || text_[at_] == '\n') {
      const std::size_t begin = at_;
      take_line_end();
      value += text_.substr(begin, at_ - begin);
    } else {
      value += text_[at_++];
    }
  }
  if (!at_field_end())
    refuse(line_, "has text after a closing quote", "double the quotes inside a quoted field");
  return value;
}

bool CsvReader::take(char c) {
  if (at_ == text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

bool CsvReader::at_field_end() const {
  return at_ == text_.size() || text_[at_] == separator_ || text_[at_] == '\r' ||
         text_[at_] == '\n';
}

void CsvReader::take_line_end() {
  const bool cr = take('\r');
  if (take('\n') || cr) ++line_;
}

void CsvReader::refuse(int line, const std::string& problem, const std::string& advice) const {
  throw InputError(file_ + ":" + std::to_string(line), problem, advice);
}

}  // namespace rvsweep
