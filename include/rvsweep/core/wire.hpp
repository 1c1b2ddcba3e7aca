#pragma once
// Values as bytes, for the way from one rank to another. All ranks run the same binary on machines
// of one kind, so numbers travel as they lie in memory.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

using Bytes = std::vector<std::byte>;

namespace wire {

/// A struct that travels names its fields once, next to them:
///   static auto fields(auto& self) { return std::tie(self.a, self.b); }
template <class T>
concept HasFields = requires(T& value) {
  T::fields(value);
};
template <class T>
concept Optional = requires(T& value) {
  value.has_value();
};
template <class T>
concept Plain = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>;
template <class T>
concept TupleLike = requires {
  std::tuple_size<T>::value;
};
template <class T>
concept Map = requires {
  typename T::mapped_type;
};
/// Vectors and strings of plain elements.
template <class T>
concept Block = std::ranges::contiguous_range<T> && Plain<std::ranges::range_value_t<T>>;

template <class T>
void put(Bytes& out, const T& value) {
  const auto append = [&out](const void* from, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(from);
    out.insert(out.end(), bytes, bytes + size);
  };
  const auto put_all = [&out](const auto&... element) { (put(out, element), ...); };
  if constexpr (HasFields<T>) {
    std::apply(put_all, T::fields(value));
  } else if constexpr (Optional<T>) {
    put(out, value.has_value());
    if (value) put(out, *value);
  } else if constexpr (Plain<T>) {
    append(&value, sizeof value);
  } else if constexpr (TupleLike<T>) {
    std::apply(put_all, value);
  } else {
    put(out, static_cast<std::uint64_t>(value.size()));
    if constexpr (Block<T>)
      append(value.data(), value.size() * sizeof(std::ranges::range_value_t<T>));
    else
      for (const auto& element : value) put(out, element);
  }
}

/// `rest`: what is left of a message.
template <class T>
void take(std::span<const std::byte>& rest, T& value) {
  const auto fill = [&rest](void* into, std::uint64_t count, std::size_t size) {
    RVSWEEP_EXPECT(count <= rest.size() / size, "a message between ranks is cut short");
    if (count > 0) std::memcpy(into, rest.data(), count * size);
    rest = rest.subspan(count * size);
  };
  const auto take_all = [&rest](auto&... element) { (take(rest, element), ...); };
  if constexpr (HasFields<T>) {
    std::apply(take_all, T::fields(value));
  } else if constexpr (Optional<T>) {
    bool has_value = false;
    take(rest, has_value);
    if (has_value) take(rest, value.emplace());
  } else if constexpr (Plain<T>) {
    fill(&value, 1, sizeof value);
  } else if constexpr (TupleLike<T>) {
    std::apply(take_all, value);
  } else {
    std::uint64_t size = 0;
    take(rest, size);
    RVSWEEP_EXPECT(size <= rest.size(), "a message between ranks is cut short");
    if constexpr (Map<T>) {
      for (; size > 0; --size) {
        typename T::key_type key;
        take(rest, key);
        take(rest, value[key]);
      }
    } else if constexpr (Block<T>) {
      value.resize(size);
      fill(value.data(), size, sizeof(std::ranges::range_value_t<T>));
    } else {
      value.resize(size);
      for (auto& element : value) take(rest, element);
    }
  }
}

}  // namespace wire

template <class T>
Bytes to_bytes(const T& value) {
  Bytes bytes;
  wire::put(bytes, value);
  return bytes;
}

/// ContractError for bytes that to_bytes<T> did not make.
template <class T>
T from_bytes(std::span<const std::byte> bytes) {
  T value{};
  wire::take(bytes, value);
  RVSWEEP_EXPECT(bytes.empty(), "a message between ranks is longer than it should be");
  return value;
}

}  // namespace rvsweep
