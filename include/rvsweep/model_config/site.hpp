#pragma once
// The activations of a block that a patch may change and a read-out record: TransformerLens' hook
// points. The order of the enum is the order in the forward pass.
#include <cstdint>
#include <span>
#include <string>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

enum class Site { resid_pre, q, k, v, z, attn_out, mlp_out, resid_post };

/// Which heads divide a site's vector.
enum class SiteHeads { none, kv, query };

/// What becomes of values x of a site where v is given, by heads: (1 - w) x + w v, x + w v,
/// x + w |x| v / |v|, x - w (x v / v v) v, x + w x. On the sphere the norm (1 - w) |x| + w |v| in
/// the direction a share w of the way along the arc from x to v; (1 - w) x + w v where it has no
/// length, because x or v is 0 or both lie in one line (to 0.001 of a unit vector).
enum class SiteOperation { replace, add, add_of_norm, project_out, scale, replace_on_sphere };

inline bool replaces(SiteOperation operation) {
  return operation == SiteOperation::replace || operation == SiteOperation::replace_on_sphere;
}

struct SiteInfo {
  Site site;
  std::string name;  // of the arm, and in messages
  SiteHeads heads;
  std::string description;
};

/// One entry per site, in the order of the enum.
std::span<const SiteInfo> all_sites();
const SiteInfo& info_of(Site site);

/// Values at a site are [rows, queries, site_heads, head_dim], or [rows, queries, 1, hidden_size]
/// of a site that no heads divide.
std::int64_t site_heads(Site site, const ModelConfig& config);
std::int64_t site_dim(Site site, const ModelConfig& config);

}  // namespace rvsweep
