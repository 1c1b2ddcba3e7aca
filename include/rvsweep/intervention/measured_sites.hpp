#pragma once
// What sites give at the last prompt tokens of a batch of rows, patches included, for their
// spectra: captures [rows, queries, heads, dim] whose last query is the prompt's last token.
#include <span>
#include <vector>

#include "rvsweep/intervention/compiled_row.hpp"
#include "rvsweep/intervention/contexts.hpp"

namespace rvsweep {

/// Those of the rows' bases, unpatched.
std::vector<SiteCapture> measured_of_bases(const ContextState& contexts,
                                           const std::vector<CompiledRow>& plans);

/// A row of a pass whose last query has so many of the prompt's tokens behind it.
struct CapturedRow {
  std::int64_t from = 0, to = 0;  // in the pass, in the batch
  std::int64_t behind = 0;
};

/// Puts what a pass gave into `measured`, which holds every captured (site, layer).
void put_captured(std::span<const SiteCapture> captured, const std::vector<CapturedRow>& rows,
                  std::vector<SiteCapture>& measured);

}  // namespace rvsweep
