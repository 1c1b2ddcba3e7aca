#include "rvsweep/experiment/reencode.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "rvsweep/experiment/geometry.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

constexpr std::size_t notebook_truncation = 512;  // tokens
constexpr std::int64_t batch_rows = 8;

}  // namespace

// A row's number may not depend on how long its companions' texts are, so every batch has a length
// fixed by the bundle's shape and a row keeps its place in it: its slot modulo batch_rows. A text
// that grows beyond that length when it is tokenised anew goes into a longer batch, at the same
// place.
std::vector<double> reencoded_r_v(const BundleRunner& runner, const Bundle& bundle,
                                  const std::vector<std::string>& texts,
                                  const DecodedBatch& batch) {
  const SweepSettings& settings = runner.settings;
  const auto W = settings.window;
  const std::int64_t usual = canonical_length(std::min<std::int64_t>(
      bundle.shape.prompt_length + settings.generation.max_new_tokens, notebook_truncation));
  using Place = std::pair<std::int64_t, std::int64_t>;  // padded length, first slot of the batch
  std::map<Place, std::vector<std::pair<std::size_t, std::vector<std::int32_t>>>> batches;
  for (std::size_t r = 0; r < texts.size(); ++r) {
    if (!batch.rows[r].failure.empty()) continue;
    const auto& prompt = bundle.contexts[static_cast<std::size_t>(bundle.rows[r].base)].text;
    auto tokens = runner.tokenizer.encode(prompt + " " + texts[r]);
    if (tokens.size() > notebook_truncation) tokens.resize(notebook_truncation);
    if (std::ssize(tokens) < W || std::ssize(tokens) > runner.model.config().max_length()) continue;
    const auto length = std::max(usual, canonical_length(std::ssize(tokens)));
    const auto first = static_cast<std::int64_t>(r) / batch_rows * batch_rows;
    batches[{length, first}].emplace_back(r, std::move(tokens));
  }
  std::vector<double> r_v(texts.size(), std::numeric_limits<double>::quiet_NaN());
  for (const auto& [place, rows] : batches) {
    std::vector<std::vector<std::int32_t>> prompts(batch_rows, rows.front().second);
    std::vector<VWindow> windows;
    for (const auto& [r, tokens] : rows) {
      windows.push_back({static_cast<std::int64_t>(r) % batch_rows, place.first});
      prompts[r % batch_rows] = tokens;
    }
    const KvCache cache = prefill(runner.model, prompts, batch_rows, place.first,
                                  std::max(settings.early_layer, settings.late_layer));
    const auto spectra = window_spectra(cache, windows, W, [&](std::size_t, std::int64_t layer) {
      return layer == settings.early_layer || layer == settings.late_layer;
    });
    for (std::size_t i = 0; i < rows.size(); ++i)
      r_v[rows[i].first] =
          r_v_of(&spectra[i * cache.v.size(0) * W], W, settings.early_layer, settings.late_layer);
  }
  return r_v;
}

}  // namespace rvsweep
