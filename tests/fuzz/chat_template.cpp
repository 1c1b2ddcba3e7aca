// Files of chat templates, and a message in them.
#include "rvsweep/tokenizer/chat_template.hpp"

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rvsweep;
  return testing::taken_or_refused([&] {
    const auto file = testing::file_of("template.json", testing::text_of(bytes, size));
    load_chat_template(file.string(), file.parent_path())->user(" a message\n");
  });
}
