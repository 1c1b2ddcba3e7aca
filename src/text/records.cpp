#include "text/records.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/json_place.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/core/utf8.hpp"
#include "rvsweep/text/words.hpp"
#include "text/csv.hpp"

namespace rvsweep {
namespace {

std::string at(const std::filesystem::path& file, int line) {
  return file.string() + ":" + std::to_string(line);
}

/// The value of a key, or of the one that stands for both sides'; null where there is none.
const nlohmann::json* find_value(const nlohmann::json& object, const RecordKey& key,
                                 const std::string& where) {
  if (const auto own = object.find(key.name); own != object.end()) return &*own;
  const auto both = key.of_both.empty() ? object.end() : object.find(key.of_both);
  if (both == object.end()) return nullptr;
  if (!both->is_object()) return &*both;
  refuse_other_sides(*both, "\"" + key.of_both + "\"", where);
  const auto side = both->find(key.name.substr(0, key.name.find('_')));
  return side == both->end() ? nullptr : &*side;
}

std::vector<std::string> json_record(const std::string& line, const RecordForm& form,
                                     const std::string& where) {
  const auto begin = line.find_first_not_of(" \t\r\xef\xbb\xbf");
  const char first = begin == std::string::npos ? ' ' : line[begin];
  refuse_stand_in(line, where);
  if (first == '[')
    throw InputError(where, "is not a JSON object but a list",
                     "write one record a line (pandas: to_json(orient=\"records\", lines=True))");
  if (first != '{')
    throw InputError(where, "is not a JSON object",
                     form.example + "; the name of a table ends in .csv or .tsv");
  const nlohmann::json object = parse_json(line, where, form.example);
  if (!object.is_object()) throw InputError(where, "is not a JSON object", form.example);
  std::vector<std::string> values;
  for (const RecordKey& key : form.keys) {
    const nlohmann::json* found = find_value(object, key, where);
    if (found == nullptr && !key.default_value) {
      if (object.contains(form.foreign_key)) throw InputError(where, form.foreign_record);
      throw InputError(where, "has no \"" + key.name + "\"", form.example);
    }
    if (found != nullptr && !found->is_string() && !key.is_json)
      throw InputError(where, "\"" + key.name + "\" is not a text", form.example);
    values.push_back(found == nullptr ? *key.default_value
                     : key.is_json    ? found->dump()
                                      : found->get<std::string>());
  }
  return values;
}

void read_json_lines(std::istream& lines, const std::filesystem::path& file, const RecordForm& form,
                     const TakeRecord& take) {
  std::string line;
  for (int line_number = 1; std::getline(lines, line); ++line_number) {
    if (line_number == 1) utf8::without_mark(line, at(file, 1));
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      throw InputError(at(file, line_number), "is empty", "remove the line");
    take(line_number, json_record(line, form, at(file, line_number)));
  }
}

void check_header(const std::vector<std::string>& header, const RecordForm& form,
                  const std::string& where) {
  std::vector<std::string> needed;
  for (const RecordKey& key : form.keys)
    if (!key.default_value) needed.push_back(key.name);
  for (const RecordKey& key : form.keys) {
    const auto columns = std::ranges::count(header, key.name);
    if (columns > 1)
      throw InputError(where, "names the column \"" + key.name + "\" twice", "keep one of them");
    if (columns == 1 || key.default_value) continue;
    if (std::ranges::count(header, form.foreign_key) > 0)
      throw InputError(where, form.foreign_record);
    throw InputError(where, "has no column \"" + key.name + "\"",
                     fmt::format("the first line names the columns: {}", fmt::join(needed, ",")));
  }
}

void read_csv(const std::string& bytes, const std::filesystem::path& file, const RecordForm& form,
              const TakeRecord& take) {
  CsvReader reader(bytes, file.string());
  auto header = reader.next();
  if (!header) return;
  for (std::string& name : *header) name = ascii_lower(trimmed(name));
  check_header(*header, form, at(file, 1));
  while (auto fields = reader.next()) {
    const std::string where = at(file, reader.line());
    if (std::ranges::all_of(*fields, &std::string::empty))
      throw InputError(where, "is empty", "remove the line");
    if (fields->size() != header->size())
      throw InputError(where,
                       fmt::format("has {} fields, the header {}", fields->size(), header->size()),
                       "a field with a separator or a line break goes into quotes");
    std::vector<std::string> values;
    for (const RecordKey& key : form.keys) {
      auto column = std::ranges::find(*header, key.name);
      if (column == header->end() && !key.of_both.empty())
        column = std::ranges::find(*header, key.of_both);
      if (column == header->end()) {
        values.push_back(*key.default_value);
        continue;
      }
      const std::string& field = (*fields)[column - header->begin()];
      if (key.is_json)
        values.push_back(field.empty() ? *key.default_value : nlohmann::json(field).dump());
      else
        values.push_back(field);
    }
    take(reader.line(), std::move(values));
  }
}

}  // namespace

void refuse_other_sides(const nlohmann::json& of_sides, const std::string& what,
                        const std::string& where) {
  for (const auto& [side, value] : of_sides.items())
    if (side != "source" && side != "base")
      throw InputError(where, what + " names a side \"" + side + "\"",
                       "the sides are \"source\" and \"base\"");
}

std::uint64_t read_records(const std::filesystem::path& file, const RecordForm& form,
                           const TakeRecord& take_record) {
  Hasher hasher;
  const TakeRecord take = [&](int line, std::vector<std::string> values) {
    for (std::size_t key = 0; key < values.size(); ++key) {
      if (values[key].find('\0') != std::string::npos)
        throw InputError(at(file, line), "\"" + form.keys[key].name + "\" holds a NUL character",
                         "remove it: HDF5 texts, which the results are, end there");
      const RecordKey& of_form = form.keys[key];
      if (of_form.is_later && values[key] == of_form.default_value) continue;
      if (of_form.is_later) hasher.update(of_form.name + '=');
      hasher.update(values[key] + '\0');
    }
    take_record(line, std::move(values));
  };
  const auto refuse = [&] {
    throw InputError(file.string(), "cannot be read",
                     "prompts.file must name a JSONL, CSV or TSV file of pairs or prompts");
  };
  const std::string extension = ascii_lower(file.extension().string());
  if (extension == ".csv" || extension == ".tsv") {
    const auto bytes = read_file(file);
    if (!bytes) refuse();
    read_csv(*bytes, file, form, take);
    return hasher.digest();
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file)) refuse();
  read_json_lines(stream, file, form, take);
  if (stream.bad()) refuse();
  return hasher.digest();
}

}  // namespace rvsweep
