#include "plan/answer_columns.hpp"

#include <string>

#include "plan/define_column.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

const char* const answer_convention =
    "; a is an answer's first token (the pair's, whoever gives), of a list the set of them";

ColumnSpec answer_prob(ColumnKey<double> key, const std::string& side) {
  return define(key, {.description = "probability of the answer to the pair's " + side +
                                     " where the first token is drawn; NaN where it is unknown",
                      .definition = "answer_prob/1: sum p(a) in float64, temperature 1" +
                                    std::string(answer_convention)});
}

ColumnSpec answer_rank(ColumnKey<std::int32_t> key, const std::string& side) {
  return define(key, {.units = "tokens",
                      .description = "how many tokens are likelier than the answer to the pair's " +
                                     side + " where the first token is drawn, 0 for the " +
                                     "likeliest; -1 where it is unknown",
                      .definition = "answer_rank/1: tokens with a logit above max logit(a)" +
                                    std::string(answer_convention)});
}

}  // namespace

std::vector<ColumnSpec> answer_columns() {
  return {
      define(columns::logit_diff,
             {.units = "nats",
              .description = "logit of the answer to the pair's source less that of the answer to "
                             "its base, where the first token is drawn; NaN where one is unknown "
                             "or both begin with the same token",
              .definition = "logit_diff/1: LSE(logit(a), a of source) - LSE(logit(a), a of base)" +
                            std::string(answer_convention)}),
      answer_prob(columns::answer_prob_source, "source"),
      answer_prob(columns::answer_prob_base, "base"),
      answer_rank(columns::answer_rank_source, "source"),
      answer_rank(columns::answer_rank_base, "base"),
  };
}

std::vector<ColumnSpec> answer_text_columns() {
  return {define(columns::answer_in_text,
                 {.description = "1 where the generated text holds the answer to the pair's "
                                 "source, else 0; -1 where it is unknown",
                  .definition = "answer_in_text/1: the answer, or one of a list, less blanks "
                                "around it, is a substring of the text as it is written"})};
}

}  // namespace rvsweep
