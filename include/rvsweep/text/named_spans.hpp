#pragma once
// Parts of prompts that have a name: "spans" of the prompts file, positions=span:NAME of arms.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/tokenizer/regex.hpp"

namespace rvsweep {

/// A letter or underscore, then letters, digits, underscores and hyphens (ASCII).
bool is_span_name(std::string_view name);

/// What "spans" of a record, as JSON, says of the prompt `text` on a `side` of its pair ("source"
/// or "base"; empty: of a bank), as JSON {name: [begin, end)} in characters of `text`, names in
/// their order; empty where it says nothing. A part is written as itself, which must occur in the
/// text once, or as [begin, end), for one side as {"source": part}. Throws InputError of `where`
/// for anything else.
std::string read_spans(const std::string& json, const std::string& side, std::string_view text,
                       const std::string& where);

/// The names in what read_spans gave, ascending.
std::vector<std::string> span_names(const std::string& spans);

/// Indices, ascending, of the tokens that hold a byte of the span; none where there is no such
/// span. `tokens` are the bytes of `text` that each stands for (see Encoding).
std::vector<std::int32_t> span_tokens(const std::string& spans, const std::string& name,
                                      std::string_view text, std::span<const Span> tokens);

}  // namespace rvsweep
