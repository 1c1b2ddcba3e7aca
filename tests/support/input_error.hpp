#pragma once
// What an InputError says, for tests of messages.
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

/// The message of the InputError that `call` throws; a failure of the test where it throws none.
template <class Call>
std::string refusal_message(Call&& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

/// Whether every part stands in the message; the missing ones are told.
inline ::testing::AssertionResult says(const std::string& message,
                                       std::initializer_list<std::string> parts) {
  for (const std::string& part : parts)
    if (message.find(part) == std::string::npos)
      return ::testing::AssertionFailure() << "\"" << part << "\" is not in: " << message;
  return ::testing::AssertionSuccess();
}

}  // namespace rvsweep
