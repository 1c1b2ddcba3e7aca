#include "rvsweep/storage/prompt_logprob.hpp"

#include <cmath>
#include <vector>

#include "rvsweep/core/error.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/text/prompts.hpp"
#include "storage/h5_column.hpp"

namespace rvsweep {

std::map<std::uint64_t, double> read_prompt_logprobs(const std::filesystem::path& results) {
  const ColumnSpec text{"text", ColumnType::utf8, {}, "", "", ""},
      opening{"opening", ColumnType::utf8, {}, "", "", ""},
      logprob{columns::logprob.name, ColumnType::float32_list, {}, "", "", ""};
  std::map<std::uint64_t, double> found;
  try {
    const h5::Handle file = h5::open_file(results), prompts = h5::open_group(file, "prompts");
    if (!h5::has_dataset(prompts, logprob.name))
      throw InputError(results.string(), "has no /prompts/logprob",
                       "make it by a sweep of these prompts with readouts.prompt_logprob = true");
    const auto texts = h5::read_values<std::string>(prompts, text);
    std::vector<std::string> openings(texts.size());
    if (h5::has_dataset(prompts, opening.name))
      openings = h5::read_values<std::string>(prompts, opening);
    const auto lists = h5::read_values<std::vector<float>>(prompts, logprob);
    for (std::size_t p = 0; p < texts.size(); ++p) {
      double sum = 0, n = 0;
      for (const float value : lists[p]) {
        if (!std::isfinite(value)) continue;
        sum += value;
        ++n;
      }
      const Prompt prompt{.id = {}, .text = texts[p], .group = {}, .opening = openings[p]};
      if (n > 0) found.emplace(prompt.text_hash(), sum / n);
    }
  } catch (const h5::Error& error) {
    throw InputError(results.string(), error.what(),
                     "prompts.matched_on must name the results.h5 of an earlier sweep");
  }
  return found;
}

}  // namespace rvsweep
