#include "rvsweep/experiment/directions.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/any.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <numeric>

#include "experiment/prompt_batches.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/intervention/derived_donors.hpp"
#include "rvsweep/kernels/device_error.hpp"
#include "rvsweep/plan/directions.hpp"

// Shapes: L layers, heads and dim of a site.

namespace rvsweep {
namespace {

struct Maker {
  const Transformer& model;
  std::uint64_t seed;
  const DirectionFiles& files;
  const std::map<std::string, MeanPrompts>& fitted_on;

  std::vector<std::int64_t> shape(Site site) const {
    const ModelConfig& config = model.config();
    return {config.n_layers, site_heads(site, config), site_dim(site, config)};
  }

  /// float64 [L, heads, dim] on the CPU.
  at::Tensor made(Site site, const std::string& name) const {
    if (name.starts_with(direction::drawn_like))
      return drawn(site, made(site, name.substr(direction::drawn_like.size())), name);
    if (const auto [of, to] = parts_of_direction(name); !to.empty())
      return orthogonal(name, made(site, of), made(site, to));
    if (name.starts_with(direction::file))
      return at::tensor(files.at({site, name}), at::kDouble).view(shape(site));
    if (name == direction::random)
      return drawn(site, at::full(shape(site), 1 / std::sqrt(shape(site)[2]), at::kDouble), "");
    const MeanPrompts& prompts = fitted_on.at(name);
    return mean_at_last_token(site, prompts[0]) - mean_at_last_token(site, prompts[1]);
  }

  /// `of` less its components along `to`, by layers and heads, with the norms of `of`.
  at::Tensor orthogonal(const std::string& name, const at::Tensor& of, const at::Tensor& to) const {
    constexpr double least = 1e-6;  // of the norm
    const auto dot = [](const at::Tensor& a, const at::Tensor& b) { return (a * b).sum(-1, true); };
    const auto safe = [](const at::Tensor& x) { return at::where(x > 0, x, 1); };
    const at::Tensor left = of - to * (dot(of, to) / safe(dot(to, to)));
    const at::Tensor norm = dot(of, of).sqrt(), left_norm = dot(left, left).sqrt();
    if (at::logical_and(norm > 0, left_norm <= norm * least).any().item<bool>())
      throw InputError("direction=" + name, "leaves nothing in some layer: both lie in one line",
                       "name two that differ");
    return left * (norm / safe(left_norm));
  }

  /// `name` tells the draws of a sweep apart; "" is that of direction=random.
  at::Tensor drawn(Site site, const at::Tensor& like, const std::string& name) const {
    std::vector<at::Tensor> layers;
    for (std::int64_t layer = 0; layer < like.size(0); ++layer)
      layers.push_back(gaussian_like(like.narrow(0, layer, 1), 0, key_of(site, layer, name)));
    return at::stack(layers).squeeze(1);
  }

  std::uint64_t key_of(Site site, std::int64_t layer, const std::string& name) const {
    const auto of_seed = std::to_string(seed), of_layer = std::to_string(layer);
    const std::string of_site = info_of(site).name;
    return name.empty() ? xxh3_fields({of_seed, "direction", of_site, of_layer})
                        : xxh3_fields({of_seed, "direction", of_site, of_layer, name});
  }

  at::Tensor mean_at_last_token(Site site, const PromptTokens& prompts) const {
    std::vector<std::int64_t> layers(model.config().n_layers);
    std::iota(layers.begin(), layers.end(), 0);
    at::Tensor sum = at::zeros(shape(site), at::kDouble);
    visit_last_tokens(model, prompts, site, layers, [&](const std::vector<SiteCapture>& captures) {
      for (const SiteCapture& capture : captures)
        sum[capture.layer] += capture.values.to(at::kCPU, at::kDouble).sum(at::IntArrayRef{0, 1});
    });
    return sum / static_cast<double>(prompts.size());
  }
};

}  // namespace

Directions directions_of(const Transformer& model, const std::vector<Arm>& arms, std::uint64_t seed,
                         const DirectionFiles& files,
                         const std::map<std::string, MeanPrompts>& fitted_on) {
  const c10::InferenceMode no_autograd;
  const Maker maker{model, seed, files, fitted_on};
  Directions directions;
  for (const Arm& arm : arms)
    for (const Patch& patch : arm.patches) {
      const std::string& name = patch.donor.direction;
      if (name.empty() || directions.contains({patch.site()->site, name})) continue;
      directions[{patch.site()->site, name}] = naming_device_errors(
          model.placement().device, "a mean difference needs GPUs with more memory", [&] {
            return maker.made(patch.site()->site, name).to(at::kFloat).to(model.placement().device);
          });
    }
  return directions;
}

}  // namespace rvsweep
