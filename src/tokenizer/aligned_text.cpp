#include "tokenizer/aligned_text.hpp"

namespace rvsweep {

void Encoding::add(std::int32_t id, Span span) {
  ids.push_back(id);
  spans.push_back(span);
}

AlignedView AlignedView::substr(std::size_t begin, std::size_t size) const {
  return {text.substr(begin, size), origin.subspan(begin, size)};
}

AlignedView AlignedView::of(std::string_view part) const {
  return substr(static_cast<std::size_t>(part.data() - text.data()), part.size());
}

Span AlignedView::original(std::size_t begin, std::size_t end) const {
  return {origin[begin].begin, origin[end - 1].end};
}

AlignedText::AlignedText(std::string_view original, std::size_t offset) : text(original) {
  origin.reserve(text.size());
  for (std::size_t i = offset; i < offset + text.size(); ++i) origin.push_back({i, i + 1});
}

AlignedText::AlignedText(AlignedView view)
    : text(view.text), origin(view.origin.begin(), view.origin.end()) {}

void AlignedText::prepend(std::string_view added) {
  const std::size_t begin = origin.front().begin;
  text.insert(0, added);
  origin.insert(origin.begin(), added.size(), Span{begin, begin});
}

void AlignedText::replace(std::string_view pattern, std::string_view content) {
  if (text.find(pattern) == std::string::npos) return;
  const AlignedText before = *this;
  text.clear();
  origin.clear();
  const auto keep = [&](std::size_t begin, std::size_t end) {
    text.append(before.text, begin, end - begin);
    origin.insert(origin.end(), before.origin.begin() + static_cast<std::ptrdiff_t>(begin),
                  before.origin.begin() + static_cast<std::ptrdiff_t>(end));
  };
  std::size_t done = 0;
  for (std::size_t at; (at = before.text.find(pattern, done)) != std::string::npos;) {
    keep(done, at);
    done = at + pattern.size();
    text += content;
    origin.insert(origin.end(), content.size(), before.view().original(at, done));
  }
  keep(done, before.text.size());
}

}  // namespace rvsweep
