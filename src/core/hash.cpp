#include "rvsweep/core/hash.hpp"

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>

#include <new>

namespace rvsweep {

std::uint64_t xxh3(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::uint64_t xxh3_fields(std::initializer_list<std::string_view> fields) {
  std::string joined;
  for (std::string_view field : fields) joined.append(field).push_back('\0');
  if (!joined.empty()) joined.pop_back();
  return xxh3(joined);
}

std::string hex(std::uint64_t value) { return fmt::format("{:016x}", value); }

struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  if (state_->xxh == nullptr || XXH3_64bits_reset(state_->xxh) != XXH_OK) throw std::bad_alloc();
}
Hasher::~Hasher() { XXH3_freeState(state_->xxh); }
void Hasher::update(const void* bytes, std::size_t size) {
  XXH3_64bits_update(state_->xxh, bytes, size);
}
std::uint64_t Hasher::digest() const { return XXH3_64bits_digest(state_->xxh); }

}  // namespace rvsweep
