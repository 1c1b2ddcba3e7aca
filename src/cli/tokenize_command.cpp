#include <iostream>

#include "rvsweep/cli/options.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/text/tokenize_stream.hpp"

namespace rvsweep {

namespace po = boost::program_options;

int tokenize_command(const Arguments& arguments) {
  po::options_description all("Tokenize");
  all.add_options()("model,m", po::value<std::string>(), "model folder that holds tokenizer.json")(
      "json", po::bool_switch(), "stdin lines are JSON strings")(
      "decode", po::bool_switch(), "JSON arrays of ids on stdin -> JSON strings");
  const auto options = parse_options(arguments, all, "tokenize --model M [--json] [--decode]");
  if (!options) return exit_done;
  if (!options->contains("model"))
    throw InputError("command line", "--model is missing", "name a model folder");
  const Tokenizer tokenizer = Tokenizer::load((*options)["model"].as<std::string>());
  std::ios::sync_with_stdio(false);
  return tokenize_stream(tokenizer, std::cin, std::cout, (*options)["json"].as<bool>(),
                         (*options)["decode"].as<bool>());
}

}  // namespace rvsweep
