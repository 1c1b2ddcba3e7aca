#include "tokenizer/tokenizer_file.hpp"

#include <optional>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/json_place.hpp"
#include "rvsweep/core/read_file.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

/// Receives the parser's events: values go into a tree, but for the entries of the two tables.
class Reader : public nlohmann::json_sax<json> {
 public:
  Reader(TokenizerFile& result, std::string where) : result_(result), where_(std::move(where)) {}

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool number_integer(number_integer_t value) override { return number(value); }
  bool number_unsigned(number_unsigned_t value) override {
    // An id beyond the signed range is refused with the other impossible ids.
    return number(value > INT64_MAX ? -1 : static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t&) override { return scalar(value); }
  bool binary(binary_t&) override { return false; }  // JSON text has none

  bool string(string_t& text) override {
    if (table_ != Table::kMerges) return scalar(std::move(text));
    if (pair_)
      pair_->push_back(std::move(text));
    else
      legacy_merge(text);
    return true;
  }

  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }

  bool start_object(std::size_t) override {
    if (table_ != Table::kNone) malformed_entry();
    if (in_model() && key_ == "vocab") {
      table_ = Table::kVocab;
      return result_.has_vocab = true;
    }
    open_.push_back(add(json::object()));
    if (open_.size() == 2 && key_ == "model") model_ = open_.back();
    return true;
  }
  bool end_object() override { return end(); }

  bool start_array(std::size_t) override {
    if (table_ == Table::kMerges && !pair_) {
      pair_.emplace();
      return true;
    }
    if (table_ != Table::kNone) malformed_entry();
    if (in_model() && key_ == "merges") {
      table_ = Table::kMerges;
      return result_.has_merges = true;
    }
    open_.push_back(add(json::array()));
    return true;
  }
  bool end_array() override {
    if (!pair_) return end();
    if (pair_->size() != 2) malformed_entry();
    result_.merges.emplace_back(std::move((*pair_)[0]), std::move((*pair_)[1]));
    pair_.reset();
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    throw InputError(where_, std::string("is not valid JSON (") + error.what() + ")");
  }

 private:
  enum class Table { kNone, kVocab, kMerges };

  bool in_model() const { return !open_.empty() && open_.back() == model_; }

  bool end() {
    if (table_ == Table::kNone) open_.pop_back();
    table_ = Table::kNone;
    return true;
  }

  bool number(std::int64_t value) {
    if (table_ != Table::kVocab) return scalar(value);
    result_.vocab.emplace_back(std::move(key_), value);
    return true;
  }

  bool scalar(json value) {
    if (table_ != Table::kNone) malformed_entry();
    add(std::move(value));
    return true;
  }

  json* add(json value) {
    if (open_.empty()) return &(result_.rest = std::move(value));
    json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  void legacy_merge(const std::string& text) {
    if (text.starts_with("#version")) return;
    const std::size_t gap = text.find(' ');
    if (gap == std::string::npos || text.find(' ', gap + 1) != std::string::npos) malformed_entry();
    result_.merges.emplace_back(text.substr(0, gap), text.substr(gap + 1));
  }

  [[noreturn]] void malformed_entry() const {
    if (table_ == Table::kVocab)
      throw InputError(where_ + ", model.vocab",
                       "the id of token \"" + key_ + "\" is not a whole number");
    throw InputError(where_ + ", model.merges[" + std::to_string(result_.merges.size()) + "]",
                     "is neither \"left right\" nor [\"left\", \"right\"]");
  }

  TokenizerFile& result_;
  std::string where_;
  std::vector<json*> open_;  // what has begun; each is the last child of the one before
  const json* model_ = nullptr;
  std::string key_;
  Table table_ = Table::kNone;
  std::optional<std::vector<std::string>> pair_;
};

}  // namespace

TokenizerFile read_tokenizer_file(const std::filesystem::path& file) {
  const auto content = read_file(file);
  if (!content)
    throw InputError(file.string(),
                     std::filesystem::exists(file) ? "cannot be read" : "does not exist",
                     "give the folder of a Hugging Face model that has its tokenizer.json");
  TokenizerFile result;
  refuse_stand_in(*content, file.string());
  result.fingerprint = xxh3(*content);
  Reader reader(result, file.string());
  json::sax_parse(*content, &reader);
  if (!result.rest.is_object()) throw InputError(file.string(), "is not a JSON object");
  return result;
}

}  // namespace rvsweep
