#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "cli/options.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/experiment/geometry.hpp"
#include "rvsweep/kernels/device.hpp"
#include "rvsweep/kernels/device_error.hpp"
#include "rvsweep/metrics/spectra.hpp"
#include "rvsweep/plan/layers.hpp"
#include "rvsweep/storage/probe_file.hpp"
#include "rvsweep/sweep/load_model.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {
namespace {

std::vector<float> to_floats(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kCPU).to(at::kFloat).contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

/// One forward pass over the whole text, every site kept.
ProbeData probe(const Transformer& model, const std::vector<std::int32_t>& tokens,
                std::int64_t window) {
  const c10::InferenceMode no_autograd;
  const ModelConfig& config = model.config();
  const Placement& placement = model.placement();
  const auto T = std::ssize(tokens);
  KvCache cache = KvCache::allocate(config, placement, 1, T);
  const LayerVisibility seen = causal_visibility(config.n_layers, {T}, T);
  ForwardInput input;
  input.tokens = at::tensor(std::vector<std::int64_t>(tokens.begin(), tokens.end()), at::kLong)
                     .to(placement.device)
                     .unsqueeze(0);
  input.positions = at::arange(T, at::kLong).to(placement.device).unsqueeze(0);
  input.seen = &seen;
  input.last_kv_layer = config.n_layers;
  input.outputs = Outputs::every_query;

  ProbeData data;
  data.n_tokens = T;
  data.hidden_size = config.hidden_size;
  data.vocab_size = config.vocab_size;
  data.n_layers = config.n_layers;
  data.v_width = config.kv_dim();
  data.window = window;
  data.tokens = tokens;
  data.logits = to_floats(model.unembed(model.forward(input, cache)));
  data.embedding = to_floats(model.embed(input.tokens));
  data.v = to_floats(cache.v.select(1, 0).transpose(1, 2));  // [L, T, nkv, hd]
  data.spectra = window_geometry(cache, {{0, T}}, window, [&](std::size_t, std::int64_t) {
                   return T >= window;
                 }).spectra;
  return data;
}

void print_geometry(const ProbeData& data, std::int64_t early, std::int64_t late) {
  std::cout << data.n_tokens << " tokens\nlayer  PR\n";
  for (std::int64_t layer = 0; layer < data.n_layers; ++layer)
    std::cout << fmt::format("{:>5}  {:.4f}\n", layer,
                             participation_ratio({&data.spectra[layer * data.window],
                                                  static_cast<std::size_t>(data.window)}));
  std::cout << fmt::format("R_V = PR({})/PR({}) = {:.6f}\n", late, early,
                           r_v_of(data.spectra.data(), data.window, early, late));
}

}  // namespace

int probe_command(const Arguments& arguments) {
  po::options_description all("Probe");
  all.add_options()("model,m", po::value<std::string>(), "model folder")(
      "text,t", po::value<std::string>(), "the text")("out,o", po::value<std::string>(),
                                                      "HDF5 file for what the model computes")(
      "window", po::value<std::int64_t>()->default_value(16), "last positions measured")(
      "early-layer", po::value<std::string>()->default_value("12.5%"), "layer or share of depth")(
      "late-layer", po::value<std::string>()->default_value("75%"), "layer or share of depth")(
      "device", po::value<std::string>()->default_value("auto"), "cpu, cuda or auto")(
      "dtype", po::value<std::string>()->default_value("auto"),
      "float32, bfloat16, float16 or auto")(
      "random-weights", po::value<std::uint64_t>()->implicit_value(1),
      "draw the weights from this seed in place of reading them");
  const auto options =
      parse_options(arguments, all, "probe --model M --text T [--out F.h5]", "", {"model", "text"});
  if (!options) return exit_done;
  const std::filesystem::path folder = (*options)["model"].as<std::string>();
  const auto window = (*options)["window"].as<std::int64_t>();
  if (window < 2) throw InputError("--window", "is below 2", "give at least 2 positions");
  ModelConfig config = load_model_config(folder);
  const auto early = parse_layer((*options)["early-layer"].as<std::string>(), config.n_layers);
  const auto late = parse_layer((*options)["late-layer"].as<std::string>(), config.n_layers);
  const auto tokens = Tokenizer::load(folder).encode((*options)["text"].as<std::string>());
  if (tokens.empty()) throw InputError("--text", "is empty", "give a text");
  for (const std::int32_t token : tokens) check_token(token, config, "--text");
  if (std::ssize(tokens) > config.max_positions)
    throw InputError(
        "--text",
        "has " + std::to_string(tokens.size()) + " tokens, the model has " + positions_text(config),
        "give a shorter text");
  const std::string device = resolve_device((*options)["device"].as<std::string>());
  const std::string dtype = resolve_dtype((*options)["dtype"].as<std::string>(), device);
  std::optional<std::uint64_t> seed;
  if (options->contains("random-weights")) seed = (*options)["random-weights"].as<std::uint64_t>();
  const WeightSource source = find_weights(folder, config, seed);
  const Placement placement = place_rank(device, dtype, 0);
  prepare_thread(placement, at::get_num_threads());
  const World alone;
  const Transformer model =
      load_on_every_rank(alone, config, source, placement, at::get_num_threads());
  const ProbeData data =
      naming_device_errors(placement.device, "give a shorter text or use a GPU with more memory",
                           [&] { return probe(model, tokens, window); });
  if (std::ssize(tokens) < window)
    spdlog::warn("the text has {} tokens, fewer than the window of {}: its geometry is NaN",
                 tokens.size(), window);
  print_geometry(data, early, late);
  if (options->contains("out")) write_probe_file((*options)["out"].as<std::string>(), data);
  return exit_done;
}

}  // namespace rvsweep
