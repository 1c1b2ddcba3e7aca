#pragma once
// Directions: vectors [n_layers, dim] of a site that op=add adds and op=project_out takes away, the
// same at every token. An arm writes direction= as
//   FILE                  a safetensors or HDF5 file;
//   mean_difference:A-B   of the prompts of group A and of group B, at the window's last token;
//   random                drawn, of norm 1 for each layer and head;
// and orthogonal_to= as another one: what is left of it beside that, with its norms.
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// Names, and what stands in front of those whose vectors are drawn with the norms of another's.
namespace direction {
inline const std::string random = "random", mean_difference = "mean_difference:", file = "file:",
                         drawn_like = "gaussian:", orthogonal_to = " orthogonal_to=";
}

/// `text` with the hash of the file's content behind it ("FILE@0123456789abcdef"), where it names a
/// file that can be read and lacks it; else as it is.
std::string with_hash(const std::string& text);

/// The donor that direction= names, of a file as with_hash writes it. Throws InputError (message
/// only) for what is no direction.
Donor parse_direction(const std::string& text);

/// The names of a direction and of the one that it is orthogonal to, the second empty where it is
/// to none.
std::array<std::string, 2> parts_of_direction(const std::string& name);

/// The names of the mean differences that a direction of this name needs, drawn like it or not.
std::vector<std::string> mean_differences_of(std::string name);

/// What the mean differences of the plan's arms are fitted on, by name: of the prompts of each
/// group half, drawn by `seed`. Prompts of one cluster, or of one text, stay together, and a prompt
/// of B goes with the first prompt of A that it has a pair with. Throws InputError for groups that
/// the prompts lack, or where a half has no prompt.
std::map<std::string, DirectionFit> direction_fits(const Plan& plan, const ModelConfig& model,
                                                   std::uint64_t seed);

/// Why a direction of this name is not tested on a pair: one of its prompts is fitted on. Empty
/// where it is.
std::string untestable(const Plan& plan, const std::string& name, const PromptPair& pair);

}  // namespace rvsweep
