#pragma once
// Which patched arms a pair is asked for.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

class ArmsOfPairs {
 public:
  /// `plan` has its prompts, pairs and arms and must outlive the object. Throws InputError naming
  /// the arm, or the line of `prompts_file`: pairs= that no pair has, a label of PromptPair::arms
  /// that no arm has or whose arm is for other pairs.
  ArmsOfPairs(const Plan& plan, const std::string& prompts_file);

  /// Unpatched arms, which patched ones are compared with, are those of every pair. Others are of
  /// the pairs whose source and base are of the groups of pairs=A~B, see stands_for, and whose own
  /// list, where there is one, has their label. A control follows its arm.
  bool is_asked(std::int32_t arm, const PromptPair& pair) const;

 private:
  using Groups = std::pair<std::int32_t, std::int32_t>;  // of source and base, into Plan::groups

  Groups groups_of(const PromptPair& pair) const;
  bool allows(std::int32_t arm, const PromptPair& pair) const;
  void check_labels(const PromptPair& pair, const std::string& where) const;

  const Plan& plan_;
  std::vector<std::set<Groups>> allowed_;  // by arm; read where it has pairs=
};

}  // namespace rvsweep
