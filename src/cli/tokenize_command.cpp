#include <iostream>

#include "cli/options.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/tokenizer/tokenize_stream.hpp"

namespace rvsweep {

int tokenize_command(const Arguments& arguments) {
  po::options_description all("Tokenize");
  all.add_options()("model,m", po::value<std::string>(), "model folder that holds tokenizer.json")(
      "json", po::bool_switch(), "stdin lines are JSON strings")(
      "decode", po::bool_switch(), "JSON arrays of ids on stdin -> JSON strings")(
      "spans", po::bool_switch(), "[id, begin, end] for each token: the bytes it stands for")(
      "template", po::value<std::string>()->default_value("none"),
      "chat template to put around each text, as prompts.template of a config file");
  const auto options = parse_options(
      arguments, all, "tokenize --model M [--json] [--template T] [--spans | --decode]", "",
      {"model"});
  if (!options) return exit_done;
  const bool decode = (*options)["decode"].as<bool>(), spans = (*options)["spans"].as<bool>();
  if (decode && spans)
    throw InputError("command line", "--decode and --spans exclude each other", "give one of them");
  const auto what = decode ? TokenizeTo::text : spans ? TokenizeTo::spans : TokenizeTo::ids;
  const auto model = (*options)["model"].as<std::string>();
  const Tokenizer tokenizer = Tokenizer::load(model);
  const auto chat = load_chat_template((*options)["template"].as<std::string>(), model);
  if (chat != nullptr) check_chat_template(*chat, tokenizer);
  std::ios::sync_with_stdio(false);
  return tokenize_stream(tokenizer, std::cin, std::cout, (*options)["json"].as<bool>(), what,
                         chat.get());
}

}  // namespace rvsweep
