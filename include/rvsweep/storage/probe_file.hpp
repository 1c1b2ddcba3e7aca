#pragma once
// The file of `rvsweep probe`: what the model computes for one text, site by site.
#include <cstdint>
#include <filesystem>
#include <vector>

namespace rvsweep {

struct ProbeData {
  std::int64_t n_tokens = 0, hidden_size = 0, vocab_size = 0, n_layers = 0, v_width = 0, window = 0;
  std::vector<std::int32_t> tokens;  // [T]
  std::vector<float> embedding;      // [T, hidden]
  std::vector<float> v;              // [L, T, D], output of v_proj
  std::vector<float> logits;         // [T, vocab]
  std::vector<double> spectra;       // [L, W]
};

/// OutputError when the file cannot be written. An existing file is replaced.
void write_probe_file(const std::filesystem::path& file, const ProbeData& probe);

}  // namespace rvsweep
