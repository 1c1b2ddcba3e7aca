#include "rvsweep/experiment/self_check.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "experiment/decode.hpp"
#include "experiment/sampler.hpp"
#include "rvsweep/core/shared_memory.hpp"
#include "rvsweep/experiment/geometry.hpp"
#include "rvsweep/intervention/visibility.hpp"
#include "rvsweep/model/packed_weights.hpp"
#include "rvsweep/plan/plan.hpp"

// Shapes: R rows, V vocabulary.

namespace rvsweep {
namespace {

/// Tokens fed to every row. compound growth then adds ln 61, which bfloat16 misses by 0.014.
constexpr std::int64_t n_fed = 60;
constexpr std::int64_t window = 3, prompt_columns = 24;

/// head_dim and grouped queries of real models, so that their kernels are chosen; biases
/// everywhere.
ModelConfig tiny_model() {
  ModelConfig config;
  config.model_type = "llama";
  config.n_layers = 2;
  config.hidden_size = config.intermediate_size = 256;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 64;
  config.vocab_size = 128;
  config.max_positions = 256;
  config.qkv_bias = config.o_bias = true;
  return config;
}

WeightSource drawn_weights() {
  return {.folder = {}, .files = {}, .seed = 17, .initializer_range = 0.05};
}

/// Norm weights and biases are drawn as ones and zeros, which hide a forgotten one: they get a
/// wave, rounded to `dtype`.
void fill_vectors(Weights& weights, at::ScalarType dtype) {
  const auto fill = [&](const at::Tensor& vector, double mean) {
    const at::Tensor wave = at::arange(vector.numel(), at::kFloat).mul_(0.7).sin_().mul_(0.3);
    vector.copy_(wave.add_(mean).to(dtype));
  };
  for (LayerWeights& layer : weights.layers) {
    fill(layer.input_norm.weight, 1);
    fill(layer.mlp_norm.weight, 1);
    fill(layer.qkv.bias, 0);
    fill(layer.o.bias, 0);
  }
  fill(weights.norm.weight, 1);
}

/// In the form in which a sweep has them on the device.
Weights weights_on(const Placement& placement, int threads) {
  const ModelConfig config = tiny_model();
  const WeightSource source = drawn_weights();
  if (!is_on_host(placement.device)) {
    const WeightLayout layout = weight_layout(config, placement.dtype);
    return weights_in(load_block(source, layout, placement.device, threads), config, layout);
  }
  const WeightForm form = weight_form(source, config, placement.dtype);
  const auto memory = private_memory(memory_for_weights(config, form));
  fill_weights(source, config, form, threads, memory.get());
  return weights_in_memory(config, form, memory);
}

/// The same numbers, those of `dtype`, in float32 on the CPU.
Weights reference_weights(at::ScalarType dtype, int threads) {
  const ModelConfig config = tiny_model();
  const WeightLayout rounded = weight_layout(config, dtype);
  const at::Tensor block = load_block(drawn_weights(), rounded, at::kCPU, threads);
  return weights_in(block.view(dtype).to(at::kFloat).view(at::kByte), config,
                    weight_layout(config, at::kFloat));
}

Transformer model_of(Weights weights, at::ScalarType dtype, const Placement& placement,
                     const Operations& operations) {
  fill_vectors(weights, dtype);
  return Transformer(tiny_model(), std::move(weights), placement, operations);
}

/// What each row of the bundle does: no patch, then those of the cache, then those of sites. The
/// first four have each kind of growth.
constexpr std::int64_t n_growths = 4, n_cache_patches = 4;
constexpr std::array arms{
    "base",
    "kv_cache layers=0:2 growth=append",
    "kv_cache layers=0:2 growth=frozen",
    "kv_cache layers=0:2 growth=compound",
    "kv_cache layers=1 entry=refeed what=v alpha=0.5",
    "v_proj layers=0:2 decode=persist",
    "z layers=0 alpha=0.5",
    "resid_pre layers=1",
};

SweepSettings tiny_settings() {
  SweepConfig config;
  config.window = window;
  for (const char* arm : arms) config.arms.push_back({arm, "self-check"});
  SweepSettings settings;
  // So hot that every token is as likely as another: both models draw the same.
  settings.generation = {.max_new_tokens = n_fed, .temperature = 1e9};
  settings.arms = all_arms(config, tiny_model());
  settings.window = window;
  return settings;
}

/// Prompts of unlike lengths, so that they are padded and donor keys turn. Row by row the second is
/// patched into the first: two cells, which leave about a third of compound attention to fed
/// tokens.
Bundle tiny_bundle() {
  const auto prompt = [](std::int32_t n) {
    BundleContext context;
    for (std::int32_t i = 0; i < n; ++i) context.tokens.push_back((i * 29 + n) % 128);
    return context;
  };
  Bundle bundle;
  bundle.shape = {.contexts = 8, .prompt_length = prompt_columns, .rows = 8};
  give_reach(tiny_settings().arms, window, window, 0, bundle.shape);
  for (const std::int32_t n : {21, 3, 24, 17, 11, 8, 14, 5}) bundle.contexts.push_back(prompt(n));
  for (std::int32_t arm = 0; arm < std::ssize(arms); ++arm) {
    BundleRow row;
    row.arm = ArmIndex(arm);
    row.pair_hash = static_cast<std::uint64_t>(arm);
    if (arm > 0) row.donors = {{.index = 1}};
    bundle.rows.push_back(std::move(row));
  }
  return bundle;
}

/// Something that was computed, float64 on the CPU.
struct Observed {
  std::string operation;
  at::Tensor values;
  bool exact = false;  // tokens, and answers yes or no
};
using Observations = std::vector<Observed>;

void observe(Observations& all, std::string operation, const at::Tensor& values,
             bool exact = false) {
  all.push_back({std::move(operation), values.to(at::kCPU).to(at::kDouble), exact});
}

/// Rows [first, first + n) of a cache.
void observe_cells(Observations& all, const std::string& operation, const KvCache& cache,
                   std::int64_t first, std::int64_t n) {
  observe(all, operation + ": keys", cache.k.narrow(1, first, n));
  observe(all, operation + ": values", cache.v.narrow(1, first, n));
}

void observe_proofs(Observations& all, const std::vector<RowProof>& proofs) {
  std::vector<double> norms;
  for (const RowProof& row : proofs)
    for (const PatchProof& proof : row) norms.push_back(std::sqrt(proof.change_squared));
  observe(all, "proof of the patches", at::tensor(norms, at::kDouble));
}

/// Feeds `tokens` [R, Q] of every row into the last columns of `cache`. Returns the residual stream
/// [R * Q, hidden].
at::Tensor feed(Observations& all, const std::string& operation, const PreparedBundle& prepared,
                const at::Tensor& tokens, KvCache& cache) {
  const Transformer& model = prepared.model;
  const auto device = model.placement().device;
  const auto Q = tokens.size(1), column = cache.columns() - Q;
  std::vector<std::int64_t> first;
  for (const CompiledRow& row : prepared.rows)
    first.push_back(row.first_position() + column - prompt_columns);
  const LayerVisibility seen =
      visibility_of(prepared.rows, model.config().n_layers, prompt_columns);
  std::vector<SiteCapture> captures{{Site::z, 0, Q}, {Site::resid_post, 0, Q}};
  ForwardInput input;
  input.tokens = tokens.to(device);
  input.positions = (at::tensor(first, at::kLong).unsqueeze(1) + at::arange(Q)).to(device);
  input.column = column;
  input.seen = &seen;
  input.captures = &captures;
  input.last_kv_layer = model.config().n_layers;
  input.outputs = Outputs::every_query;
  const at::Tensor residual = model.forward(input, cache);
  for (std::int64_t r = 0; r < n_growths; ++r)
    observe(all, fmt::format("{}, attention of {}", operation, arms[r]), captures[0].values[r]);
  observe(all, operation + ", stream after a block", captures[1].values);
  return residual.flatten(0, 1);
}

/// Logits, the likeliest tokens and which rows are finite, of a residual stream [rows, hidden].
void observe_choices(Observations& all, const Transformer& model, const at::Tensor& residual) {
  const at::Tensor logits = model.unembed(residual);
  observe(all, "logits", logits);
  // A token that another is as likely as does no harm.
  observe(all, "greedy choice", logits.gather(1, model.argmax(residual).token.unsqueeze(1)));
  at::Tensor broken = residual.clone();
  broken[0].fill_(std::numeric_limits<double>::quiet_NaN());
  observe(all, "finite rows of a greedy choice", model.argmax(broken).finite, /*exact=*/true);
}

/// The sampler on logits that are the same everywhere.
void observe_sampling(Observations& all, const Transformer& model) {
  const auto device = model.placement().device;
  const at::Tensor logits =
      (at::arange(8 * 128, at::kFloat) * 12.9898).sin_().mul_(4).view({8, 128});
  const at::Tensor uniforms = (at::arange(8, at::kDouble) + 0.4) / 8;
  for (const GenerationConfig& generation : {GenerationConfig{.temperature = 0},
                                             {.temperature = 0.7},
                                             {.temperature = 0.7, .top_k = 9},
                                             {.temperature = 0.7, .top_p = 0.8}})
    observe(
        all,
        fmt::format("sampling, temperature {}, top_k {}, top_p {}", generation.temperature,
                    generation.top_k, generation.top_p),
        sample_tokens(model.operations(), logits.to(device), uniforms.to(device), generation).token,
        /*exact=*/true);
  at::Tensor broken = logits.clone();
  broken[0][3] = std::numeric_limits<double>::infinity();
  observe(all, "non-finite logits", model.operations().finite_rows(broken.to(device)),
          /*exact=*/true);
}

void observe_spectra(Observations& all, const KvCache& cache) {
  std::vector<Window> windows;
  for (std::int64_t r = 0; r < cache.rows(); ++r) windows.push_back({r, prompt_columns + n_fed});
  const auto everywhere = [](std::size_t, std::int64_t) { return true; };
  observe(all, "spectra", at::tensor(window_geometry(cache, windows, window, everywhere).spectra));
}

/// Columns [0, columns) of a cache, copied.
KvCache first_columns(const KvCache& cache, std::int64_t columns) {
  return {cache.k.narrow(3, 0, columns).clone(), cache.v.narrow(3, 0, columns).clone()};
}

Observations observations(const Transformer& model) {
  const c10::InferenceMode no_autograd;
  const SweepSettings settings = tiny_settings();
  const Bundle bundle = tiny_bundle();
  Observations all;
  const PreparedBundle prepared = prepare_bundle(model, settings, bundle, {});
  observe_cells(all, "prefill", prepared.contexts.cache, 0, std::ssize(bundle.contexts));
  for (const SiteCapture& site : prepared.contexts.sites)
    observe(all, fmt::format("prefill: {} of layer {}", info_of(site.site).name, site.layer),
            site.values);
  observe(all, "prefill: logits", prepared.first_logits);

  const RowBatch batch{bundle.rows, prepared.rows};
  PreparedRows rows = prepare_rows(prepared, batch.compiled, n_fed + 1);
  observe_cells(all, "cache patch", rows.cache, 1, n_cache_patches);
  observe_cells(all, "site patch", rows.cache, 1 + n_cache_patches,
                std::ssize(arms) - 1 - n_cache_patches);
  KvCache at_once = first_columns(rows.cache, prompt_columns + n_fed);
  DecodedBatch decoded =
      decode(prepared, batch, std::move(rows), {.generation = settings.generation});
  observe_proofs(all, decoded.proofs);
  std::vector<at::Tensor> tokens;
  for (Generated& row : decoded.rows) {
    row.tokens.resize(n_fed);  // one whose logits are not finite has fewer
    tokens.push_back(at::tensor(row.tokens, at::kLong));
  }
  const at::Tensor fed = at::stack(tokens);  // [R, n_fed]
  observe(all, "tokens drawn", fed, /*exact=*/true);
  observe_cells(all, "decoding", decoded.cache, 0, std::ssize(arms));
  // One token more, whose sites are seen.
  feed(all, "decoding", prepared, fed.narrow(1, n_fed - 1, 1), decoded.cache);
  observe_choices(all, model, feed(all, "tokens fed at once", prepared, fed, at_once));
  observe_sampling(all, model);
  observe_spectra(all, decoded.cache);
  return all;
}

Deviation deviation(const at::Tensor& values, const at::Tensor& reference) {
  const at::Tensor b = reference.flatten(), difference = values.flatten() - b;
  const double norm_squared = b.dot(b).item<double>();
  return {std::sqrt(difference.dot(difference).item<double>() / norm_squared),
          std::abs(difference.dot(b).item<double>()) / norm_squared};
}

/// In units of the dtype's roundoff u, of float32 2^-19 for sums of hundreds of products in any
/// order. A value here has gone through about a dozen roundings of 0.4 u each, which add as squares
/// do: at most 2 u on CPUs, over 24 seeds. Along the reference they average out, to at most 0.46 u;
/// a wrong scale or bias does not: 1 % more attention is 2.6 u in bfloat16, a bias rounded to 16
/// bits 1.2 u.
Deviation bound_of(at::ScalarType dtype) {
  const double u = dtype == at::kFloat ? 0x1p-19 : dtype == at::kHalf ? 0x1p-11 : 0x1p-8;
  return {4 * u, 0.75 * u};
}

}  // namespace

double CheckedOperation::share() const {
  if (found.error == 0) return 0;
  return std::max(found.gain / bound.gain, found.error / bound.error);
}

bool CheckedOperation::passed() const { return share() <= 1; }

std::string CheckedOperation::text() const {
  return fmt::format("{}: error {:.2g} (bound {:.2g}), gain {:.2g} (bound {:.2g})", operation,
                     found.error, bound.error, found.gain, bound.gain);
}

std::vector<CheckedOperation> self_check(const Placement& placement, const Operations& operations,
                                         int threads) {
  const auto dtype = placement.dtype;
  const Transformer model = model_of(weights_on(placement, threads), dtype, placement, operations);
  const Transformer reference =
      model_of(reference_weights(dtype, threads), dtype, Placement{}, aten_operations());
  const Observations found = observations(model), expected = observations(reference);
  std::vector<CheckedOperation> checked;
  for (std::size_t i = 0; i < found.size(); ++i)
    checked.push_back({found[i].operation, deviation(found[i].values, expected[i].values),
                       found[i].exact ? Deviation{} : bound_of(dtype)});
  return checked;
}

const CheckedOperation* first_failure(const std::vector<CheckedOperation>& checked) {
  const auto failed = std::ranges::find_if(
      checked, [](const CheckedOperation& operation) { return !operation.passed(); });
  return failed == checked.end() ? nullptr : &*failed;
}

}  // namespace rvsweep
