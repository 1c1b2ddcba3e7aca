#include "rvsweep/model/weights.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"

namespace rvsweep {
namespace {

/// A file mapped read-only for as long as a tensor points into it.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (fd < 0 || fstat(fd, &info) != 0)
      throw InputError(path.string(), std::string("cannot be opened (") + strerror(errno) + ")");
    size_ = static_cast<std::size_t>(info.st_size);
    // Read-only, so that no memory is reserved for it; libtorch never writes to parameters.
    data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data_ == MAP_FAILED)
      throw InputError(path.string(), std::string("cannot be mapped (") + strerror(errno) + ")");
  }
  ~MappedFile() { munmap(data_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::byte* at(const TensorEntry& entry) const {
    if (entry.end > size_)
      throw InputError(entry.file.string(), "has become shorter since its header was read",
                       "copy or download it again");
    return static_cast<std::byte*>(data_) + entry.begin;
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

class Files {
 public:
  std::shared_ptr<MappedFile> open(const std::filesystem::path& path) {
    auto& file = files_[path];
    if (!file) file = std::make_shared<MappedFile>(path);
    return file;
  }

 private:
  std::map<std::filesystem::path, std::shared_ptr<MappedFile>> files_;
};

at::ScalarType scalar_type(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "BF16") return at::kBFloat16;
  RVSWEEP_EXPECT(dtype == "F16", "check_tensors admits no other dtype");
  return at::kHalf;
}

/// The parameter of a name.
using Load = std::function<at::Tensor(const std::string&)>;

/// The parameters of one block, by their names below `scope` ("model.layers.3").
LayerWeights make_layer(const Load& load, const std::string& scope, const ModelConfig& config) {
  const auto optional = [&](const std::string& name, bool present) {
    return present ? load(name) : at::Tensor();
  };
  const std::string attention = scope + ".self_attn";
  LayerWeights layer;
  layer.input_norm = load(scope + ".input_layernorm.weight");
  layer.q_proj = load(attention + ".q_proj.weight");
  layer.k_proj = load(attention + ".k_proj.weight");
  layer.v_proj = load(attention + ".v_proj.weight");
  layer.q_bias = optional(attention + ".q_proj.bias", config.qkv_bias);
  layer.k_bias = optional(attention + ".k_proj.bias", config.qkv_bias);
  layer.v_bias = optional(attention + ".v_proj.bias", config.qkv_bias);
  layer.o_proj = load(attention + ".o_proj.weight");
  layer.o_bias = optional(attention + ".o_proj.bias", config.o_bias);
  layer.post_attention_norm = load(scope + ".post_attention_layernorm.weight");
  layer.gate_proj = load(scope + ".mlp.gate_proj.weight");
  layer.up_proj = load(scope + ".mlp.up_proj.weight");
  layer.down_proj = load(scope + ".mlp.down_proj.weight");
  return layer;
}

Weights make_weights(const Load& load, const ModelConfig& config) {
  Weights weights;
  weights.embedding = load("model.embed_tokens.weight");
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer)
    weights.layers.push_back(make_layer(load, "model.layers." + std::to_string(layer), config));
  weights.norm = load("model.norm.weight");
  weights.head = config.tied_head ? weights.embedding : load("lm_head.weight");
  return weights;
}

}  // namespace

Weights load_weights(const ModelConfig& config, const TensorIndex& index,
                     const Placement& placement) {
  Files files;
  const auto load = [&](const std::string& name) {
    const TensorEntry& entry = index.at(name);
    auto file = files.open(entry.file);
    const at::Tensor mapped = at::from_blob(
        file->at(entry), entry.shape, [file](void*) {}, scalar_type(entry.dtype));
    return mapped.to(placement.device, placement.dtype);
  };
  return make_weights(load, config);
}

Weights empty_weights(const ModelConfig& config, const Placement& placement) {
  const auto shapes = parameter_shapes(config);
  const auto options = at::TensorOptions().device(placement.device).dtype(placement.dtype);
  return make_weights([&](const std::string& name) { return at::empty(shapes.at(name), options); },
                      config);
}

std::vector<at::Tensor> parameters(const Weights& weights) {
  std::vector<at::Tensor> all{weights.embedding, weights.norm};
  if (!weights.head.is_same(weights.embedding)) all.push_back(weights.head);
  for (const LayerWeights& w : weights.layers)
    for (const at::Tensor& parameter :
         {w.input_norm, w.q_proj, w.k_proj, w.v_proj, w.q_bias, w.k_bias, w.v_bias, w.o_proj,
          w.o_bias, w.post_attention_norm, w.gate_proj, w.up_proj, w.down_proj})
      if (parameter.defined()) all.push_back(parameter);
  return all;
}

std::uint64_t model_fingerprint(const std::filesystem::path& folder, const TensorIndex& index) {
  std::ifstream config(folder / "config.json", std::ios::binary);
  std::ostringstream text;
  text << config.rdbuf();
  Hasher hasher;
  hasher.update(text.str());
  Files files;
  for (const auto& [name, entry] : index) {
    hasher.update(name);
    hasher.update(files.open(entry.file)->at(entry), entry.end - entry.begin);
  }
  return hasher.digest();
}

}  // namespace rvsweep
