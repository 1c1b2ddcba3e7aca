#include "rvsweep/plan/memory_budget.hpp"

#include <algorithm>
#include <set>

#include "rvsweep/core/attention_blocks.hpp"
#include "rvsweep/model_config/parameters.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/readout_layers.hpp"

namespace rvsweep {
namespace {

constexpr double program = 0.25e9;            // libraries and code of a rank on cores
constexpr double program_beside_gpu = 1.5e9;  // CUDA's libraries, plan, buffers
constexpr double rank_reserve = 0.25e9;       // of a node's memory: plan, texts, buffers
constexpr double gpu_reserve = 2e9;           // CUDA's context, workspaces, of sorting too
constexpr double fragments = 0.05;            // of a bundle's tensors
constexpr double share_of_a_pass = 1.0 / 16;  // of a GPU's memory

/// Rows that are fed `queries` tokens each, `columns` of the cache seen.
struct Fed {
  double rows = 0;
  std::int64_t queries = 1, columns = 0;
  double width = 0;      // of the patched sites
  bool patched = false;  // caches, in some layers
  bool compounds = false;
  bool causal =
      false;  // without a mask, keys and values repeated for the query heads that share them
};

double vocabulary(const BundleNeeds& needs, double rows) {
  return rows * static_cast<double>(needs.model.vocab_size);
}

double kv(const BundleNeeds& needs, double rows, std::int64_t columns) {
  return rows * 2 * needs.element *
         static_cast<double>(needs.model.n_layers * needs.model.kv_dim() * columns);
}

/// Those of its layers; 0: none.
std::set<std::int64_t> windows_of(const ModelConfig& model) {
  std::set<std::int64_t> windows;
  for (std::int64_t layer = 0; layer < model.n_layers; ++layer) windows.insert(model.window(layer));
  return windows;
}

/// Float32 logits that are kept beside those in the model's dtype.
double kept_logits(const BundleNeeds& needs, double rows) { return vocabulary(needs, rows) * 4; }

/// Masks of the visible cells. A GPU's have the model's dtype and one row for all heads.
double masks(const BundleNeeds& needs, const Fed& fed) {
  const std::int64_t window = needs.model.sliding_window.value_or(fed.columns);
  const bool outgrown = window < fed.columns || (fed.compounds && needs.model.sliding_window);
  if (fed.causal) {  // of a block of queries and its window
    constexpr std::int64_t block = attention_blocks::windowed_queries;
    return outgrown ? needs.element * static_cast<double>(block * (block + window)) : 0;
  }
  const std::int64_t padded = (fed.columns + 63) / 64 * 64;
  const std::int64_t kinds = outgrown ? std::ssize(windows_of(needs.model)) : 1;
  const std::int64_t classes = !fed.patched ? kinds
                               : outgrown   ? needs.window_classes
                                            : needs.classes;
  const double cells = fed.rows * static_cast<double>(fed.queries * padded * classes);
  const auto group = static_cast<double>(needs.model.group());
  return cells * (needs.gpu ? needs.element : fed.queries > 1 ? 4 * group : 4);
}

/// Where attention is computed in float32, some rows and scores at a time: with a soft cap, and on
/// a GPU for rows with growth=compound in 16 bits, whose ln t a mask of that dtype would round.
double float32_attention(const BundleNeeds& needs, const Fed& fed) {
  const bool exact_growth = needs.gpu && needs.element < 4 && fed.compounds;
  if (needs.model.attention_soft_cap == 0 && !exact_growth) return 0;
  constexpr double rows = attention_blocks::float32_rows,
                   most_scores = attention_blocks::float32_scores;
  const auto nh = static_cast<double>(needs.model.n_heads);
  const auto Q = nh * static_cast<double>(needs.model.head_dim);
  const auto D = static_cast<double>(needs.model.kv_dim());
  const auto T = static_cast<double>(fed.queries), C = static_cast<double>(fed.columns);
  const double scores = std::min(rows * nh * T * C, most_scores);
  return 4 * (rows * (2 * T * Q + 2 * C * D + T * C) + 2 * scores);
}

/// A forward pass beside its cache: for each token the stream, and the most of a layer's norm, its
/// attention and its MLP.
double pass(const BundleNeeds& needs, const Fed& fed) {
  const double b = needs.element;
  const ModelConfig& m = needs.model;
  const auto H = static_cast<double>(m.hidden_size), I = static_cast<double>(m.intermediate_size);
  const auto Q = static_cast<double>(m.n_heads * m.head_dim), D = static_cast<double>(m.kv_dim());
  const double tokens = fed.rows * static_cast<double>(fed.queries);
  const double norm = !needs.gpu ? b * H : b == 4 ? 4 * H : (8 + b) * H;
  const double attended = fed.causal ? 3 * Q : needs.gpu ? Q + D : fed.queries > 1 ? 3 * Q : Q;
  const double attention = tokens * b * (H + Q + 2 * D + attended) + float32_attention(needs, fed);
  const double mlp = tokens * b * (Q + H + 3 * I);
  const double stream_and_rotation = b * H + 4 * static_cast<double>(m.head_dim) + 16;
  const double edits = 3 * b * fed.width;  // given, replaced and captured values
  return tokens * (stream_and_rotation + edits) + masks(needs, fed) +
         std::max({tokens * (b * Q + norm), attention, mlp});
}

/// Of a long prompt alone, in what its cells are kept or in a cache of its own.
double alone(const BundleNeeds& needs, const BundleShape& shape) {
  return kv(needs, 1, shape.scratch) +
         pass(needs,
              {.rows = 1, .queries = shape.longest, .columns = shape.longest, .causal = true});
}

/// From logits to tokens, for each of them.
double sampling(const BundleNeeds& needs, double rows, bool samples) {
  const double finite = needs.element + 8;
  const double running = needs.element + 4 + 4 + 8 + 8;  // softmax, and in float64 with its sums
  const double sorted = needs.element + 4 + 4 + 8 + 4 + 4 + 1;
  const double taken = !samples ? finite : needs.filters ? std::max(running, sorted) : running;
  if (!needs.penalises) return vocabulary(needs, rows) * taken;
  // Which tokens have occurred; logits in float32 and penalised, on their way four times.
  const double in_float32 = needs.element < 4 ? 4 : 0;
  return vocabulary(needs, rows) *
         (1 + in_float32 + std::max(needs.element + 4 * 3 + 1, 4 + taken));
}

/// Last tokens of prompts in T columns that a site patch may reach.
std::int64_t reached_tokens(const BundleNeeds& needs, std::int64_t T) {
  return needs.reach_beyond ? T : needs.patched_tokens;
}

/// The rows' prompt caches, `rows` of them at a time, made from contexts and patched.
double patches(const BundleNeeds& needs, double rows, std::int64_t T) {
  const double b = needs.element, cells = rows * static_cast<double>(T * needs.model.kv_dim());
  double most = cells * b;
  if (needs.site_width > 0) {
    const std::int64_t queries = reached_tokens(needs, T) - 1;
    const double stream = 2 * b * rows * static_cast<double>(queries * needs.model.hidden_size);
    const double captured = b * rows * static_cast<double>(queries) * needs.measured_width;
    const double suffix = stream + captured + pass(needs, {rows, queries, T, needs.suffix_width});
    most = kv(needs, rows, T) + std::max(kv(needs, rows, T) / 2, suffix);
  }
  // Base, donor and mixture, and their squared difference in float64.
  if (needs.patches_cache) most = std::max(most, cells * (2 * b + 8 + 32));
  return most;
}

/// What the measured sites gave at the last tokens of `rows` prompts.
double measured(const BundleNeeds& needs, double rows) {
  const auto tokens = static_cast<double>(needs.window + needs.tokens_after_window);
  return needs.element * rows * tokens * needs.measured_width;
}

double spectra(const BundleNeeds& needs, double windows) {
  std::int64_t widest = needs.model.kv_dim();
  for (const Site site : needs.readouts.spectra_sites)
    widest = std::max(widest, site_heads(site, needs.model) * site_dim(site, needs.model));
  const auto W = static_cast<double>(needs.window), D = static_cast<double>(widest);
  return windows * W * (D * (2 * needs.element + 24) + 32 * W);
}

/// Log-probabilities of the prompts' tokens from their residual stream: `columns` logits at once,
/// and those in float64 and as a softmax.
double prompt_logprob(const BundleNeeds& needs, std::int64_t T) {
  const auto columns = static_cast<double>(std::min(T, logprob_columns));
  return vocabulary(needs, columns) * (needs.element + 16);
}

/// Of one layer at step 0: queries and keys in float32 beside scores; then scores, weights and what
/// they are summed by.
double attention(const BundleNeeds& needs, double rows, std::int64_t T) {
  const ModelConfig& m = needs.model;
  const auto layers =
      static_cast<double>(attention_layers(needs.readouts, needs.model.n_layers).size());
  if (layers == 0) return 0;
  const auto nh = static_cast<double>(m.n_heads), nkv = static_cast<double>(m.n_kv_heads);
  const auto Q = nh * static_cast<double>(m.head_dim), D = static_cast<double>(m.kv_dim());
  const auto cells = static_cast<double>(T + 1);
  const double scoring = cells * (D + nh) + (needs.element < 4 ? Q : 0);
  const double summing = cells * (3 * nh + 4 * nkv);
  return rows * (needs.element * Q * layers + 4 * std::max(scoring, summing));
}

/// The residual stream after layers of `rows`, as it is captured and by row.
double residuals(const BundleNeeds& needs, double rows) {
  return 2 * needs.element * rows * static_cast<double>(needs.streams * needs.model.hidden_size);
}

/// What readouts.state_distance compares with, in float32.
double natural_states(const BundleNeeds& needs) {
  return 4 *
         static_cast<double>(needs.natural_layers * most_natural_prompts * needs.model.hidden_size);
}

double decoding(const BundleNeeds& needs, double rows, std::int64_t T, bool samples) {
  const Fed fed{rows, 1, T + needs.new_tokens, 2 * needs.site_width, true, needs.compounds};
  return std::max({pass(needs, fed) + needs.element * rows * needs.measured_width,
                   sampling(needs, rows, samples), attention(needs, rows, T)});
}

double step_trace(const BundleNeeds& needs, double rows, std::int64_t T) {
  const auto columns = static_cast<double>(T + needs.new_tokens);
  const auto windows = static_cast<double>(needs.new_tokens + needs.window - 1);
  const auto D = static_cast<double>(needs.model.kv_dim());
  return rows * (columns * D * needs.element + windows * (D * (needs.element + 8) + 16 * windows));
}

/// Rows with their continuations, `rows` of them at a time.
double continuations(const BundleNeeds& needs, double rows, std::int64_t T) {
  const std::int64_t columns = T + needs.new_tokens;
  const Fed fed{rows, needs.new_tokens, columns, needs.site_width, true, needs.compounds};
  return kv(needs, rows, columns) + pass(needs, fed);
}

/// Logits of rows and of the references that they are compared with, in float64.
double comparison(const BundleNeeds& needs, double rows, double references) {
  const double steps = std::max(rows, references);  // rows of one product of references
  const double made = (needs.element + 16) * steps, compared = 16 * rows + 8 * references;
  return vocabulary(needs, 8 * steps + 8 * rows + std::max(made, compared));
}

double forced(const BundleNeeds& needs, const BundleShape& shape, double at_once) {
  const auto R = static_cast<double>(shape.rows), C = static_cast<double>(shape.contexts);
  const std::int64_t T = shape.prompt_length;
  const double of_contexts = std::min(at_once, C);
  const double greedy =
      kv(needs, C, T + needs.new_tokens) + kept_logits(needs, C) +
      std::max(patches(needs, of_contexts, T), decoding(needs, C, T, /*samples=*/false));
  const double residual =
      needs.element * static_cast<double>(needs.new_tokens * needs.model.hidden_size);
  const double rows = std::max(continuations(needs, at_once, T), R * residual);
  const double references = std::max(continuations(needs, of_contexts, T), C * residual);
  const double fed = R * residual + std::max(rows, C * residual + comparison(needs, R, C));
  return std::max(greedy, kv(needs, C, T) + std::max(fed, R * residual + references));
}

double reencode(const BundleNeeds& needs, std::int64_t T) {
  const std::int64_t queries =
      canonical_length(std::min(needs.new_tokens + 1, notebook_truncation));
  return kv(needs, reading_rows, T + queries) + pass(needs, {reading_rows, queries, T + queries});
}

/// Of a node's memory, for each of its ranks on cores beside the weights that they share.
double share_of_rank(const MemoryBudget& budget) {
  return budget.bundle.total() + budget.cores_overhead() + rank_reserve;
}

}  // namespace

std::int64_t dtype_bytes(const std::string& dtype) { return dtype == "float32" ? 4 : 2; }

std::int64_t kv_bytes(const ModelConfig& config, std::int64_t columns, const std::string& dtype) {
  return 2 * config.n_layers * config.kv_dim() * columns * dtype_bytes(dtype);
}

std::int64_t weight_bytes(const ModelConfig& config, const std::string& dtype) {
  std::int64_t elements = 0;
  for (const Parameter& parameter : parameters_of(config)) elements += parameter.numel();
  return elements * dtype_bytes(dtype);
}

double weight_memory(const ModelConfig& config, const std::string& device,
                     const std::string& dtype) {
  const bool twice = device == "cpu" && config.tied_head;
  const auto table = config.vocab_size * config.hidden_size * dtype_bytes(dtype);
  return static_cast<double>(weight_bytes(config, dtype) + (twice ? table : 0));
}

BundleMemory bundle_memory(const BundleNeeds& needs, const BundleShape& shape,
                           std::int64_t derived) {
  const auto R = static_cast<double>(shape.rows), C = static_cast<double>(shape.contexts);
  const auto slots = C + static_cast<double>(derived), b = needs.element;
  const std::int64_t T = shape.prompt_length, N = std::max<std::int64_t>(needs.new_tokens, 1);
  const auto all_or = [](std::int64_t at_once, double all) {
    return at_once == 0 ? all : std::min(static_cast<double>(at_once), all);
  };
  const double prompts = all_or(shape.prompts_at_once, C), rows = all_or(shape.rows_at_once, R);
  const auto streams = static_cast<double>(needs.first_layers * needs.model.hidden_size);
  BundleMemory memory;
  memory.contexts =
      (are_long(T) ? kv(needs, 1, shape.slot_columns) : kv(needs, slots, T)) +
      b * static_cast<double>(reached_tokens(needs, T)) * (slots * needs.site_width + C * streams) +
      measured(needs, C) + 8 / b * kv(needs, static_cast<double>(needs.mean_donors), T);
  if (needs.readouts.first_token && R > 0) memory.contexts += kept_logits(needs, C);
  double most = 0;
  const auto take = [&](const char* phase, double temporaries) {
    if (temporaries <= most) return;
    most = temporaries;
    memory.phase = phase;
  };
  // Of all prompts, until their log-probabilities are read from it.
  const double stream =
      needs.readouts.prompt_logprob ? C * b * static_cast<double>(T * needs.model.hidden_size) : 0;
  const double prefill = are_long(T) ? alone(needs, shape) : pass(needs, {prompts, T, T});
  take("prefill", stream + std::max(prefill, stream));
  if (stream > 0) take("prompt_logprob", stream + prompt_logprob(needs, T));
  take("prefill", measured(needs, C));  // joined from the passes
  take("prefill", spectra(needs, C));
  if (R == 0) {
    memory.temporaries = most;
    return memory;
  }
  memory.contexts += natural_states(needs);
  memory.rows =
      kv(needs, R, T + N) + kept_logits(needs, R) + measured(needs, R) + residuals(needs, R);
  most = std::max(0.0, most - memory.rows);
  take("patches", patches(needs, rows, T));
  take("decoding", decoding(needs, R, T, needs.samples));
  take("spectra", spectra(needs, R));
  if (needs.readouts.step_trace) take("step trace", step_trace(needs, R, T));
  if (needs.readouts.forced) take("forced", forced(needs, shape, rows));
  if (needs.readouts.reencode) take("reencode", reencode(needs, T));
  memory.temporaries = most;
  return memory;
}

std::int64_t rows_at_once(const BundleNeeds& needs, std::int64_t prompt_length,
                          double device_memory) {
  const auto of = [&](double rows) {
    double made = patches(needs, rows, prompt_length);
    if (!are_long(prompt_length))
      made = std::max(made, pass(needs, {rows, prompt_length, prompt_length}));
    return needs.readouts.forced ? std::max(made, continuations(needs, rows, prompt_length)) : made;
  };
  std::int64_t rows = 256;
  while (rows > 1 && of(static_cast<double>(rows)) > share_of_a_pass * device_memory)
    rows = rows > 8 ? rows / 2 : 1;
  return rows;
}

double MemoryBudget::cores_overhead() const { return program + fragments * bundle.total(); }

double MemoryBudget::gpu_overhead() const { return gpu_reserve + fragments * bundle.total(); }

double MemoryBudget::cores() const { return weights + bundle.total() + cores_overhead(); }

double MemoryBudget::gpu() const { return weights + bundle.total() + gpu_overhead(); }

std::int64_t MemoryBudget::ranks_on_cores(double bytes) const {
  return static_cast<std::int64_t>((bytes - weights) / share_of_rank(*this));
}

double MemoryBudget::node_with_cores(std::int64_t ranks) const {
  return weights + static_cast<double>(ranks) * share_of_rank(*this);
}

double MemoryBudget::node_with_gpus(std::int64_t ranks) const {
  return static_cast<double>(ranks) * (weights + program_beside_gpu);
}

}  // namespace rvsweep
