#include "rvsweep/intervention/derived_donors.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <string>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/philox.hpp"
#include "rvsweep/kernels/rotation.hpp"

// Shapes: T columns of a cache, nkv KV heads, hd head_dim.

namespace rvsweep {
namespace {

/// Keys [..., positions, hd] of a layer turned by `positions` each, computed in float32.
at::Tensor turned(const Transformer& model, std::int64_t layer, const at::Tensor& keys,
                  const at::Tensor& positions) {
  return rotate(keys.to(at::kFloat), model.turn(layer, positions.to(keys.device())));
}

struct Deriver {
  const Transformer& model;
  std::uint64_t seed;
  const MeanDonors& means;
  ContextState& state;

  void fill(const DerivedDonor& donor, std::int64_t slot) {
    switch (donor.derivation) {
      case Derivation::zero:  // slots start as zeros
        return;
      case Derivation::gaussian:
        return fill_gaussian(donor, slot);
      case Derivation::shuffled:
        return fill_shuffled(donor, slot);
      case Derivation::mean:
        return fill_mean(donor, slot);
      case Derivation::last_row:
        return fill_last_row(donor, slot);
      case Derivation::none:
        break;
    }
    RVSWEEP_UNREACHABLE("a derived donor that is derived from nothing");
  }

  /// One layer's keys or values of a slot's last m tokens, [nkv, m, hd].
  at::Tensor cells(bool is_key, std::int64_t layer, std::int64_t slot, std::int64_t m) const {
    const KvCache last = state.last_cells(slot, m);
    return (is_key ? last.k : last.v)[layer][0];
  }

  std::uint64_t key(const DerivedDonor& donor, std::int64_t layer, const std::string& what) const {
    return xxh3_fields(
        {std::to_string(seed), donor.pair_id, "gaussian", std::to_string(layer), what});
  }

  void fill_gaussian(const DerivedDonor& donor, std::int64_t slot) {
    const auto m = donor.tokens;
    for (std::int64_t layer = 0; layer < model.config().n_layers; ++layer)
      for (const bool is_key : {true, false}) {
        const at::Tensor like = cells(is_key, layer, donor.of, m).transpose(0, 1);
        const at::Tensor drawn = gaussian_like(like, 0, key(donor, layer, is_key ? "k" : "v"));
        cells(is_key, layer, slot, m).copy_(drawn.transpose(0, 1));
      }
    for (SiteCapture& record : state.sites) {
      const auto kept = std::min(m, record.queries);
      const auto last = [&](std::int64_t of) {
        return record.values[of].narrow(0, record.queries - kept, kept);
      };
      const auto name = info_of(record.site).name;
      last(slot).copy_(gaussian_like(last(donor.of), m - kept, key(donor, record.layer, name)));
    }
  }

  void fill_shuffled(const DerivedDonor& donor, std::int64_t slot) {
    const auto order = permutation(xxh3_fields({std::to_string(seed), donor.pair_id, "shuffled"}),
                                   1, static_cast<std::int32_t>(donor.cells));
    move_cells(donor, slot, [&](std::int64_t i) { return order[i]; });
  }

  void fill_last_row(const DerivedDonor& donor, std::int64_t slot) {
    move_cells(donor, slot, [&](std::int64_t) { return donor.cells - 1; });
    for (SiteCapture& record : state.sites)
      record.values[slot].copy_(record.values[donor.of].narrow(0, record.queries - 1, 1));
  }

  /// Of the cached cells, i takes token from(i), its key turned by i - from(i).
  template <class From>
  void move_cells(const DerivedDonor& donor, std::int64_t slot, From from_of) {
    const auto m = donor.tokens;
    std::vector<std::int64_t> from, by;
    for (std::int64_t i = 0; i < m; ++i) {
      from.push_back(i < donor.cells ? from_of(i) : i);
      by.push_back(i - from.back());
    }
    const at::Tensor index = at::tensor(from, at::kLong).to(model.placement().device);
    const at::Tensor turn = at::tensor(by, at::kLong);
    for (std::int64_t layer = 0; layer < model.config().n_layers; ++layer) {
      const auto moved = [&](bool is_key) {
        return cells(is_key, layer, donor.of, m).index_select(1, index);
      };
      cells(true, layer, slot, m).copy_(turned(model, layer, moved(true), turn));
      cells(false, layer, slot, m).copy_(moved(false));
    }
  }

  void fill_mean(const DerivedDonor& donor, std::int64_t slot) {
    const MeanDonor& mean = means[static_cast<std::size_t>(donor.direction)];
    RVSWEEP_EXPECT(mean.prompts > 0 && mean.k.size(2) == donor.tokens,
                   "the mean is taken over the plan's donor prompts");
    const auto m = donor.tokens, count = mean.prompts;
    const at::Tensor positions = at::arange(m, at::kLong);
    for (std::int64_t layer = 0; layer < model.config().n_layers; ++layer) {
      cells(true, layer, slot, m)
          .copy_(turned(model, layer, mean.k[layer] / static_cast<double>(count), positions));
      cells(false, layer, slot, m).copy_(mean.v[layer] / static_cast<double>(count));
    }
  }
};

}  // namespace

at::Tensor gaussian_like(const at::Tensor& like, std::int64_t first_token, std::uint64_t key) {
  const auto count = static_cast<std::uint64_t>(like.numel());
  const auto first = static_cast<std::uint64_t>(first_token * like.size(1) * like.size(2));
  at::Tensor drawn = at::empty(like.sizes(), at::kDouble);
  double* out = drawn.data_ptr<double>();
  for (std::uint64_t counter = first / 2; counter <= (first + count - 1) / 2; ++counter) {
    const auto pair = normal_pair(key, counter);
    for (const std::uint64_t e : {2 * counter, 2 * counter + 1})
      if (e >= first && e < first + count) out[e - first] = pair[e % 2];
  }
  const at::Tensor norm = like.to(at::kCPU, at::kDouble).norm(2, {-1}, /*keepdim=*/true);
  return drawn * (norm / drawn.norm(2, {-1}, /*keepdim=*/true));
}

void add_to_mean(const Transformer& model, const KvCache& cache,
                 const std::vector<std::int64_t>& lengths, std::int64_t m, MeanDonor& mean) {
  const auto T = cache.columns();
  for (std::size_t slot = 0; slot < lengths.size(); ++slot) {
    const auto last = [&](const at::Tensor& cells) {  // [n_layers, nkv, m, hd]
      return cells.select(1, static_cast<std::int64_t>(slot)).narrow(2, T - m, m);
    };
    const at::Tensor back = -(at::arange(m, at::kLong) + (lengths[slot] - m));
    std::vector<at::Tensor> keys;
    for (std::int64_t layer = 0; layer < cache.k.size(0); ++layer)
      keys.push_back(turned(model, layer, last(cache.k)[layer], back));
    const at::Tensor k = at::stack(keys).to(at::kDouble);
    const at::Tensor v = last(cache.v).to(at::kDouble);
    mean.k = mean.prompts == 0 ? k : mean.k + k;
    mean.v = mean.prompts == 0 ? v : mean.v + v;
    ++mean.prompts;
  }
}

void derive_donors(const Transformer& model, const Bundle& bundle, std::uint64_t seed,
                   std::int64_t derived_slot, const MeanDonors& means, ContextState& state) {
  Deriver deriver{model, seed, means, state};
  for (std::size_t d = 0; d < bundle.derived.size(); ++d)
    deriver.fill(bundle.derived[d], derived_slot + static_cast<std::int64_t>(d));
}

}  // namespace rvsweep
