// For targets that run a tests::Conversation: what it finds ends the process.
#ifndef TESTS_FUZZ_CONVERSATION_TARGET_H_
#define TESTS_FUZZ_CONVERSATION_TARGET_H_

#include <gtest/gtest.h>

// Called once, before the first input.
extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  GTEST_FLAG_SET(break_on_failure, true);
  return 0;
}

#endif  // TESTS_FUZZ_CONVERSATION_TARGET_H_
