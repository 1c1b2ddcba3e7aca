#pragma once
// Named places of a block whose values a patch may change or a read-out record (TransformerLens'
// hook points). The order of the enum is the order in the forward pass.
#include <cstdint>
#include <span>
#include <string>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

enum class Site { resid_pre, q, k, v, z, attn_out, mlp_out, resid_post };

/// What a site's vector is split into: one piece, KV heads or query heads.
enum class SiteHeads { none, kv, query };

struct SiteInfo {
  Site site;
  std::string name;  // of the arm, and in messages
  SiteHeads heads;
  std::string description;
};

/// One entry per site, in the order of the enum.
std::span<const SiteInfo> all_sites();
const SiteInfo& info_of(Site site);

/// Values at a site are [rows, queries, site_heads, site_dim].
std::int64_t site_heads(Site site, const ModelConfig& config);
std::int64_t site_dim(Site site, const ModelConfig& config);

}  // namespace rvsweep
