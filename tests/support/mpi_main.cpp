// main() of tests that use several ranks: alone it is one rank, under mpirun every rank runs the
// same tests. Rank 0 prints as usual, other ranks only their failures; every rank exits with the
// worst code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "support/mpi_world.hpp"

namespace rvsweep::testing {
namespace {

World* this_world = nullptr;

class RankFailures : public ::testing::EmptyTestEventListener {
 public:
  explicit RankFailures(Communicator& communicator) : communicator_(communicator) {}

  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    if (communicator_.rank() != 0)
      std::fprintf(stderr, "rank %d of %d: %s:%d: %s\n", communicator_.rank(), communicator_.size(),
                   result.file_name() ? result.file_name() : "", result.line_number(),
                   result.message());
    // This rank leaves the test, and the others may wait for it for ever.
    if (result.fatally_failed() && communicator_.size() > 1) {
      std::fflush(nullptr);
      communicator_.abort(1);
    }
  }

 private:
  Communicator& communicator_;
};

}  // namespace

World& world() { return *this_world; }

}  // namespace rvsweep::testing

int main(int argc, char** argv) {
  rvsweep::World world;
  rvsweep::testing::this_world = &world;
  rvsweep::Communicator& communicator = world.communicator();
  testing::InitGoogleTest(&argc, argv);
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (communicator.rank() != 0) {
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
  }
  // Behind rank 0's printer, which must show a failure before the world ends.
  listeners.Append(new rvsweep::testing::RankFailures(communicator));
  int code = RUN_ALL_TESTS();
  for (const std::string& other : communicator.all_gather(std::to_string(code)))
    code = std::max(code, std::stoi(other));
  return code;
}
