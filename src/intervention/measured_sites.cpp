#include "rvsweep/intervention/measured_sites.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>

namespace rvsweep {

std::vector<SiteCapture> measured_of_bases(const ContextState& contexts,
                                           const std::vector<CompiledRow>& plans) {
  std::vector<SiteCapture> measured = contexts.measured;
  if (measured.empty()) return measured;
  std::vector<std::int64_t> bases;
  for (const CompiledRow& plan : plans) bases.push_back(plan.base);
  const auto index = at::tensor(bases, at::kLong).to(contexts.cache.v.device());
  for (SiteCapture& of_site : measured) of_site.values = of_site.values.index_select(0, index);
  return measured;
}

void put_captured(std::span<const SiteCapture> captured, const std::vector<CapturedRow>& rows,
                  std::vector<SiteCapture>& measured) {
  if (captured.empty()) return;
  struct Index {
    std::vector<std::int64_t> from, to;
  };
  std::map<std::int64_t, Index> by_behind;
  for (const CapturedRow& row : rows) {
    by_behind[row.behind].from.push_back(row.from);
    by_behind[row.behind].to.push_back(row.to);
  }
  const auto device = captured.front().values.device();
  for (const auto& [behind, index] : by_behind) {
    const auto from = at::tensor(index.from, at::kLong).to(device),
               to = at::tensor(index.to, at::kLong).to(device);
    for (const SiteCapture& pass : captured) {
      const auto kept = std::ranges::find_if(measured, [&](const SiteCapture& of_site) {
        return of_site.site == pass.site && of_site.layer == pass.layer;
      });
      const auto end = kept->queries - behind, n = std::min(pass.queries, end);
      kept->values.narrow(1, end - n, n)
          .index_copy_(0, to, pass.values.narrow(1, pass.queries - n, n).index_select(0, from));
    }
  }
}

}  // namespace rvsweep
