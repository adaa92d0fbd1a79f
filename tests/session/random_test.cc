// Random conversations, each from a seed that a failure names. RANDOM_RUNS in the environment
// multiplies their number: bazel test --test_env=RANDOM_RUNS=100 //tests/session:random_test
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/session/random_run.h"

namespace sallyport::tests {
namespace {

uint32_t Runs(uint32_t usual) {
  const char* factor = std::getenv("RANDOM_RUNS");
  return usual * (factor == nullptr ? 1 : static_cast<uint32_t>(std::atoi(factor)));
}

void RunSeeds(uint32_t runs, void (*run)(Dice*)) {
  for (uint32_t seed = 0; seed < runs; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed);
    run(&dice);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Random, TwoHostileSidesBreakNothing) { RunSeeds(Runs(10'000), RunTwoHostileSides); }

TEST(Random, AnHonestClientsPasswordStaysHere) { RunSeeds(Runs(5'000), RunHonestClient); }

}  // namespace
}  // namespace sallyport::tests
