#include "rvsweep/model_config/site.hpp"

#include <array>

namespace rvsweep {

std::span<const SiteInfo> all_sites() {
  static const std::array<SiteInfo, 8> sites{{
      {Site::resid_pre, "resid_pre", SiteHeads::none, "residual stream before the block"},
      {Site::q, "q_proj", SiteHeads::query,
       "output of q_proj, bias included, before norm and rotation"},
      {Site::k, "k_proj", SiteHeads::kv,
       "output of k_proj, bias included, before norm and rotation"},
      {Site::v, "v_proj", SiteHeads::kv, "output of v_proj, bias included"},
      {Site::z, "z", SiteHeads::query, "attention output of every query head, before o_proj"},
      {Site::attn_out, "attn_out", SiteHeads::none,
       "what attention adds to the stream: o_proj's output, normed where a norm follows it"},
      {Site::mlp_out, "mlp_out", SiteHeads::none,
       "what the MLP adds to the stream: down_proj's output, normed where a norm follows it"},
      {Site::resid_post, "resid_post", SiteHeads::none, "residual stream after the block"},
  }};
  return sites;
}

const SiteInfo& info_of(Site site) { return all_sites()[static_cast<std::size_t>(site)]; }

std::int64_t site_heads(Site site, const ModelConfig& config) {
  const SiteHeads heads = info_of(site).heads;
  if (heads == SiteHeads::none) return 1;
  return heads == SiteHeads::kv ? config.n_kv_heads : config.n_heads;
}

std::int64_t site_dim(Site site, const ModelConfig& config) {
  return info_of(site).heads == SiteHeads::none ? config.hidden_size : config.head_dim;
}

}  // namespace rvsweep
