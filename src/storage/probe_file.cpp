#include "rvsweep/storage/probe_file.hpp"

#include "rvsweep/core/error.hpp"
#include "storage/h5_column.hpp"

namespace rvsweep {

void write_probe_file(const std::filesystem::path& file, const ProbeData& probe) {
  using enum ColumnType;
  const auto T = probe.n_tokens, D = probe.v_width;
  try {
    h5::Handle out = h5::create_file(file);
    const auto write = [&](const ColumnSpec& spec, const ColumnValues& values) {
      h5::write_column(out, spec, values, h5::Chunking::none);
    };
    write({"tokens", int32, {}, "token id", "the text's tokens, special ones included", ""},
          probe.tokens);
    write({"embedding", float32, {probe.hidden_size}, "1", "token embeddings", ""},
          probe.embedding);
    write({"v", float32, {T, D}, "1", "output of v_proj by layer, token and feature", ""}, probe.v);
    write({"logits", float32, {probe.vocab_size}, "1", "logits at every position", ""},
          probe.logits);
    write({"spectra",
           float64,
           {probe.window},
           "1",
           "singular values of the last W rows of v, descending; NaN where there are fewer",
           "spectra/1"},
          probe.spectra);
    out.close("closing " + file.string());
  } catch (const h5::Error& error) {
    throw OutputError(file.string(), error.what(), "check the folder and its free space");
  }
}

}  // namespace rvsweep
