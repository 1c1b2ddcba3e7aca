#pragma once
// XXH3 64-bit hashes (xxhash): row ids, fingerprints, checksums. Not cryptographic.
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace rvsweep {

std::uint64_t xxh3(std::string_view bytes);

/// Hash of several fields; fields are separated by a NUL byte, so ("ab","c") and ("a","bc") differ.
std::uint64_t xxh3_fields(std::initializer_list<std::string_view> fields);

/// 16 lower-case hexadecimal digits.
std::string hex(std::uint64_t value);

/// Hash of a stream of bytes too large to hold.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  void update(const void* bytes, std::size_t size);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  std::uint64_t digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rvsweep
