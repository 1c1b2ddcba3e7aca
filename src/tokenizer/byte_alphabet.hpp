#pragma once
// The printable characters in which a byte-level vocabulary writes its bytes (GPT-2's table):
// "Ġthe" is " the".
#include <string>
#include <string_view>

namespace rvsweep {

/// The bytes that `token` writes; the bytes of `token` itself when it has a character outside the
/// table (an added token such as "<｜end｜>"). The second value tells the two apart.
struct TokenBytes {
  std::string bytes;
  bool in_alphabet;
};
TokenBytes bytes_of_token(std::string_view token);

}  // namespace rvsweep
