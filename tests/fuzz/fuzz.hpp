#pragma once
// What the harnesses share: each is a LLVMFuzzerTestOneInput of one kind of input from outside.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "rvsweep/core/error.hpp"
#include "support/temporary_folder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace rvsweep::testing {

inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

/// The bytes as a file of this name in a folder that all inputs share.
inline std::filesystem::path file_of(const std::string& name, std::string_view bytes) {
  static const TemporaryFolder folder;
  return folder.write(name, bytes);
}

/// Input is taken or refused with a message; whatever else is thrown ends the process.
template <class Read>
int taken_or_refused(const Read& read) {
  try {
    read();
  } catch (const InputError&) {
  }
  return 0;
}

}  // namespace rvsweep::testing
