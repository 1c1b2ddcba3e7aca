// tokenizer.json, NUL, and a text that goes there and back.
#include "rvsweep/tokenizer/tokenizer.hpp"

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  const std::string_view all = testing::text_of(bytes, size);
  const auto end = std::min(all.find('\0'), all.size());
  return testing::taken_or_refused([&] {
    const auto file = testing::file_of("tokenizer.json", all.substr(0, end));
    const Tokenizer tokenizer = Tokenizer::load(file.parent_path());
    tokenizer.decode(tokenizer.encode(all.substr(std::min(end + 1, all.size()))));
  });
}
