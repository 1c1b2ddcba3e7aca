#include "rvsweep/plan/layers.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {
namespace {

const char* const grammar =
    "write layers as 24, 16:32, 75%, 50%:100%, 0:8+24:32, width:4/stride:2 or each";

std::int64_t whole_number(const std::string& text) {
  const auto value = parse_number<std::int64_t>(text);
  if (!value || *value < 0) throw InputError("", "\"" + text + "\" is not a layer", grammar);
  return *value;
}

/// A boundary between layers: 0..n_layers.
std::int64_t boundary(const std::string& text, std::int64_t n_layers) {
  if (!text.ends_with('%')) return whole_number(text);
  const auto share = parse_number<double>(std::string_view(text).substr(0, text.size() - 1));
  if (!share || !(*share >= 0 && *share <= 100))
    throw InputError("", "\"" + text + "\" is not a share of depth", grammar);
  return static_cast<std::int64_t>(std::floor(*share * static_cast<double>(n_layers) / 100.0));
}

std::string of_model(std::int64_t n_layers) {
  return "the model has layers 0 to " + std::to_string(n_layers - 1);
}

LayerSet range(std::int64_t begin, std::int64_t end, const std::string& text,
               std::int64_t n_layers) {
  if (begin >= end)
    throw InputError("", "layer range " + text + " is empty", "ranges are half-open, [a, b)");
  if (end > n_layers)
    throw InputError("", "layer range " + text + " lies outside the model", of_model(n_layers));
  LayerSet layers;
  for (std::int64_t layer = begin; layer < end; ++layer) layers.push_back(layer);
  return layers;
}

std::vector<LayerSet> bands(const std::string& text, std::int64_t n_layers) {
  const auto parts = split(text, '/');
  if (parts.size() != 2 || !parts[1].starts_with("stride:"))
    throw InputError("", "\"" + text + "\" is not a series of bands", grammar);
  const auto width = whole_number(parts[0].substr(6));
  const auto stride = whole_number(parts[1].substr(7));
  if (width == 0 || stride == 0 || width > n_layers)
    throw InputError("", "\"" + text + "\" gives no band inside the model", of_model(n_layers));
  std::vector<LayerSet> sets;
  for (std::int64_t begin = 0; begin <= n_layers - width; begin += std::min(stride, n_layers))
    sets.push_back(range(begin, begin + width, text, n_layers));
  return sets;
}

}  // namespace

std::int64_t parse_layer(const std::string& text, std::int64_t n_layers) {
  const std::int64_t layer = boundary(text, n_layers);
  if (layer >= n_layers)
    throw InputError("", "layer " + text + " lies outside the model", of_model(n_layers));
  return layer;
}

std::vector<LayerSet> parse_layer_sets(const std::string& text, std::int64_t n_layers) {
  if (text == "each") return bands("width:1/stride:1", n_layers);
  if (text.starts_with("width:")) return bands(text, n_layers);
  std::set<std::int64_t> layers;
  for (const std::string& part : split(text, '+')) {
    const auto ends = split(part, ':');
    if (ends.size() == 1) {
      layers.insert(parse_layer(part, n_layers));
    } else if (ends.size() == 2) {
      const auto run =
          range(boundary(ends[0], n_layers), boundary(ends[1], n_layers), part, n_layers);
      layers.insert(run.begin(), run.end());
    } else {
      throw InputError("", "\"" + part + "\" is not a layer range", grammar);
    }
  }
  return {LayerSet(layers.begin(), layers.end())};
}

std::string format_layers(const LayerSet& layers) {
  std::string text;
  for (std::size_t i = 0; i < layers.size();) {
    std::size_t j = i + 1;
    while (j < layers.size() && layers[j] == layers[j - 1] + 1) ++j;
    text += (text.empty() ? "" : "+") + std::to_string(layers[i]);
    if (j - i > 1) text += ":" + std::to_string(layers[j - 1] + 1);
    i = j;
  }
  return text;
}

}  // namespace rvsweep
