#pragma once
// Three families of errors: bad input (the user can mend it, exit code 2), a device that fails or
// is too small (exit code 6) and a broken contract (a bug). Messages read "problem (why it is one):
// what to do".
#include <stdexcept>
#include <string>
#include <utility>

namespace rvsweep {

/// Bad input or environment: what is wrong, where, and what to do about it.
class InputError : public std::runtime_error {
 public:
  explicit InputError(const std::string& message) : std::runtime_error(message) {}
  /// `where` is a file, file:line, key or row; empty parts are left out of the message.
  InputError(std::string where, const std::string& problem, const std::string& what_to_do = "")
      : std::runtime_error((where.empty() ? "" : where + ": ") + problem +
                           (what_to_do.empty() ? "" : ": " + what_to_do)),
        where_(std::move(where)) {}
  const std::string& where() const { return where_; }

 private:
  std::string where_;
};

/// The output folder could not be written or read back while a sweep runs (exit code 4).
class OutputError : public InputError {
 public:
  using InputError::InputError;
};

/// The device of this rank fails at every further call. Never a property of the rows at hand: other
/// ranks can compute them.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The device is sound, but has too little memory for what is asked of it: so have its like.
class DeviceMemoryError : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

/// A contract inside the program does not hold: a defect of rvsweep, never of its input.
class ContractError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws ContractError; `how` says in which way what `message` states is broken.
[[noreturn]] void broken_contract(const char* file, int line, const std::string& message,
                                  const char* how);

}  // namespace rvsweep

/// Checks in every build type that `condition` holds; `message` says in words what must hold.
#define RVSWEEP_EXPECT(condition, message) \
  ((condition)                             \
       ? void(0)                           \
       : ::rvsweep::broken_contract(__FILE__, __LINE__, (message), #condition " does not hold"))

/// Stands where control never comes; `message` says what would have brought it there.
#define RVSWEEP_UNREACHABLE(message) \
  ::rvsweep::broken_contract(__FILE__, __LINE__, (message), "this was to be unreachable")

/// For functions of which a build has only the declaration.
#define RVSWEEP_NOT_BUILT(what) \
  ::rvsweep::broken_contract(__FILE__, __LINE__, what " is needed", "this build does not have it")
